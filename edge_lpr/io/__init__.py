"""Images, videos, cameras and files, in and out."""
