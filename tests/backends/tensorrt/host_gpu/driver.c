/* A CUDA driver whose device is the host: what pycuda and the TensorRT backend call, and no more.
 *
 * It is no GPU and measures nothing. It shows the bookkeeping: every call needs a current context, work on a stream
 * is done only when the stream is waited for (so a buffer that is used again too early gives a wrong result), a
 * capture records instead of queueing, and all that was taken is counted until it is given back.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OK = 0, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, INVALID_HANDLE = 400, UNSUPPORTED_CAPTURE = 900 };

typedef int (*kernel_t)(void *);
typedef struct work { void *to; const void *from; size_t size; kernel_t kernel; void *argument; } work_t;
typedef struct list { work_t *items; int count, room, capturing, failed; } list_t;

static __thread int depth;
static int device_blocks, host_blocks, streams, graphs, events;
static long long device_bytes, device_limit = 1LL << 40;
static int integrated, graphs_refused;

int cuStreamSynchronize(list_t *stream);
static int checked(void) { return depth > 0 ? OK : INVALID_CONTEXT; }

static void add(list_t *list, work_t item) {
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 8;
        list->items = realloc(list->items, list->room * sizeof(work_t));
    }
    list->items[list->count++] = item;
}

static int perform(list_t *list) {
    for (int i = 0; i < list->count; i++) {
        work_t *w = &list->items[i];
        if (w->kernel) {
            int error = w->kernel(w->argument);
            if (error) return error;
        } else memcpy(w->to, w->from, w->size);
    }
    return OK;
}

/* --- for the tests --- */
void host_gpu_set(long long limit, int is_integrated, int refuse_graphs) {
    device_limit = limit; integrated = is_integrated; graphs_refused = refuse_graphs;
}
void host_gpu_held(long long *held) {
    held[0] = device_blocks; held[1] = host_blocks; held[2] = streams; held[3] = graphs; held[4] = depth; held[5] = events;
}
int host_gpu_launch(list_t *stream, kernel_t kernel, void *argument) {
    if (checked()) return INVALID_CONTEXT;
    if (stream->capturing && graphs_refused) { stream->failed = 1; return UNSUPPORTED_CAPTURE; }
    work_t item = {0}; item.kernel = kernel; item.argument = argument; add(stream, item); return OK;
}

/* --- the driver API --- */
int cuInit(unsigned flags) { return OK; }
int cuDriverGetVersion(int *version) { *version = 12060; return OK; }
int cuDeviceGetCount(int *count) { *count = 1; return OK; }
int cuDeviceGet(int *device, int index) { *device = 0; return OK; }
int cuDeviceGetName(char *name, int size, int device) { snprintf(name, size, "Host memory, no GPU"); return OK; }
int cuDeviceComputeCapability(int *major, int *minor, int device) { *major = 8; *minor = 7; return OK; }
int cuDeviceTotalMem_v2(size_t *size, int device) { *size = (size_t)device_limit; return OK; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : attribute == 18 ? integrated : 0; return OK;
}
int cuDevicePrimaryCtxRetain(void **context, int device) { static int one; *context = &one; return OK; }
int cuDevicePrimaryCtxRelease_v2(int device) { return OK; }
int cuCtxPushCurrent_v2(void *context) { depth++; return OK; }
int cuCtxPopCurrent_v2(void **context) { if (checked()) return INVALID_CONTEXT; depth--; return OK; }
int cuCtxGetDevice(int *device) { *device = 0; return checked(); }
int cuMemGetInfo_v2(size_t *available, size_t *total) {
    *total = (size_t)device_limit; *available = (size_t)(device_limit - device_bytes); return checked();
}
int cuMemAlloc_v2(uintptr_t *address, size_t size) {
    if (checked()) return INVALID_CONTEXT;
    if (device_bytes + (long long)size > device_limit) return OUT_OF_MEMORY;
    size_t *block = aligned_alloc(256, (size + 511) / 256 * 256 + 256);
    block[0] = size; device_bytes += size; device_blocks++;
    *address = (uintptr_t)block + 256; return OK;
}
int cuMemFree_v2(uintptr_t address) {
    if (checked()) return INVALID_CONTEXT;
    size_t *block = (size_t *)(address - 256);
    device_bytes -= block[0]; device_blocks--; free(block); return OK;
}
int cuMemHostAlloc(void **memory, size_t size, unsigned flags) {
    if (checked()) return INVALID_CONTEXT;
    *memory = aligned_alloc(256, (size + 255) / 256 * 256); host_blocks++; return OK;
}
int cuMemFreeHost(void *memory) { if (checked()) return INVALID_CONTEXT; free(memory); host_blocks--; return OK; }
int cuMemHostGetDevicePointer_v2(uintptr_t *address, void *memory, unsigned flags) {
    *address = (uintptr_t)memory; return checked();
}
/* An event is the time at which a stream came to it. */
typedef struct event { list_t *stream; double at; } event_t;
static int stamp(void *argument) {
    struct timespec now; clock_gettime(CLOCK_MONOTONIC, &now);
    ((event_t *)argument)->at = now.tv_sec * 1e3 + now.tv_nsec / 1e6; return OK;
}
int cuEventCreate(event_t **event, unsigned flags) {
    if (checked()) return INVALID_CONTEXT;
    *event = calloc(1, sizeof(event_t)); events++; return OK;
}
int cuEventDestroy_v2(event_t *event) { free(event); events--; return checked(); }
int cuEventRecord(event_t *event, list_t *stream) {
    event->stream = stream; return host_gpu_launch(stream, stamp, event);
}
int cuEventSynchronize(event_t *event) { return cuStreamSynchronize(event->stream); }
int cuEventElapsedTime(float *milliseconds, event_t *from, event_t *to) {
    *milliseconds = (float)(to->at - from->at); return checked();
}
int cuEventElapsedTime_v2(float *milliseconds, event_t *from, event_t *to) { return cuEventElapsedTime(milliseconds, from, to); }
int cuStreamCreate(list_t **stream, unsigned flags) {
    if (checked()) return INVALID_CONTEXT;
    *stream = calloc(1, sizeof(list_t)); streams++; return OK;
}
int cuStreamDestroy_v2(list_t *stream) { if (checked()) return INVALID_CONTEXT; free(stream->items); free(stream); streams--; return OK; }
int cuStreamSynchronize(list_t *stream) {
    if (checked()) return INVALID_CONTEXT;
    if (stream->capturing) { stream->failed = 1; return UNSUPPORTED_CAPTURE; }
    int error = perform(stream); stream->count = 0; return error;
}
static int copy(void *to, const void *from, size_t size, list_t *stream) {
    if (checked()) return INVALID_CONTEXT;
    work_t item = {0}; item.to = to; item.from = from; item.size = size; add(stream, item); return OK;
}
int cuMemcpyHtoDAsync_v2(uintptr_t to, const void *from, size_t size, list_t *s) { return copy((void *)to, from, size, s); }
int cuMemcpyDtoHAsync_v2(void *to, uintptr_t from, size_t size, list_t *s) { return copy(to, (void *)from, size, s); }
int cuStreamBeginCapture_v2(list_t *stream, int mode) {
    if (checked()) return INVALID_CONTEXT;
    if (stream->count || stream->capturing) return UNSUPPORTED_CAPTURE;
    stream->capturing = 1; stream->failed = 0; return OK;
}
int cuStreamEndCapture(list_t *stream, list_t **graph) {
    if (!stream->capturing) return INVALID_HANDLE;
    stream->capturing = 0;
    if (stream->failed) { stream->count = 0; return UNSUPPORTED_CAPTURE; }
    *graph = malloc(sizeof(list_t)); **graph = *stream; graphs++;
    memset(stream, 0, sizeof(list_t)); return OK;
}
int cuGraphInstantiateWithFlags(list_t **executable, list_t *graph, unsigned long long flags) {
    *executable = calloc(1, sizeof(list_t)); graphs++;
    for (int i = 0; i < graph->count; i++) add(*executable, graph->items[i]);
    return OK;
}
int cuGraphLaunch(list_t *executable, list_t *stream) {
    if (checked()) return INVALID_CONTEXT;
    for (int i = 0; i < executable->count; i++) add(stream, executable->items[i]);
    return OK;
}
int cuGraphDestroy(list_t *graph) { free(graph->items); free(graph); graphs--; return OK; }
int cuGraphExecDestroy(list_t *executable) { return cuGraphDestroy(executable); }
int cuGetErrorName(int error, const char **text) { *text = "HOST_ERROR"; return OK; }
int cuGetErrorString(int error, const char **text) {
    *text = error == OUT_OF_MEMORY ? "out of memory" : error == INVALID_CONTEXT ? "invalid device context"
          : error == UNSUPPORTED_CAPTURE ? "operation not permitted when stream is capturing" : "an error of the test";
    return OK;
}
