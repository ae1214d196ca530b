// All that the pages do beside showing and sending forms; each works without it.
"use strict";

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Light or dark: a cookie, so that the next page is made in the theme at once.
for (const button of all("[data-theme-switch]")) {
  const root = document.documentElement;
  const isDark = () =>
    (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const show = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Change to the ${isDark() ? "light" : "dark"} theme`);
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    document.cookie = `edge_lpr_theme=${root.dataset.theme}; Path=/; SameSite=Strict; Max-Age=31536000`;
    show();
  });
  show();
}

// A camera's still: the next is asked for once the last is there, and none while nobody looks.
for (const image of all("img[data-still]")) {
  let count = 0;
  let timer;
  // One wait at a time: of moving pictures browsers tell that each frame has loaded.
  const next = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (document.hidden || !image.isConnected || image.dataset.paused) return next();
      count += 1;
      image.src = `${image.dataset.still}?n=${count}`;
    }, 2000);
  };
  // The camera may be none any more: then neither is its page, and what is told of that is shown.
  const failed = async () => {
    try {
      const answer = await fetch(location.href, { redirect: "error" });
      if (answer.status === 404) return location.reload();
    } catch {
      // The service is away for a moment, or one has to sign in again.
    }
    next();
  };
  image.addEventListener("load", next);
  image.addEventListener("error", failed);
  if (image.complete) next();
}

// Moving pictures for who asks for them; else the still.
for (const button of all("[data-live]")) {
  const image = document.getElementById(button.dataset.for);
  const show = (isLive) => {
    if (isLive) image.dataset.paused = "yes";
    else delete image.dataset.paused;
    image.src = isLive ? button.dataset.live : `${image.dataset.still}?n=still`;
    button.setAttribute("aria-pressed", String(isLive));
  };
  button.hidden = false;
  button.addEventListener("click", () => show(button.getAttribute("aria-pressed") !== "true"));
}

// What changes by itself: the page is asked for again, and what is new of it put in.
const fresh = all("[data-fresh]");
if (fresh.length) {
  const announce = document.getElementById("announce");
  const passageOf = (element) => element?.closest("[data-key]")?.dataset.key.split(" ")[0];
  const step = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href, { headers: { "X-Edge-LPR": "1" }, redirect: "error" });
        if (answer.ok) update(new DOMParser().parseFromString(await answer.text(), "text/html"));
      } catch {
        // The service is away for a moment, or one has to sign in again: what is shown stays.
      }
    }
    setTimeout(step, 3000);
  };
  const update = (page) => {
    // A camera that has come, gone, or has its first picture: states would stand at others, so all is anew.
    for (const old of all("[data-whole]")) {
      const now = page.getElementById(old.id);
      if (now && now.dataset.whole !== old.dataset.whole) return location.reload();
    }
    for (const old of all("[data-fresh]")) {
      const now = page.getElementById(old.id);
      if (!now) continue;
      const before = new Map(all("[data-key]", old).map((row) => [row.dataset.key, row]));
      const known = new Set([...before.values()].map(passageOf));
      const focused = old.contains(document.activeElement) ? document.activeElement : null;
      const passage = passageOf(focused);
      const news = [];
      for (const row of all("[data-key]", now)) {
        const same = before.get(row.dataset.key);
        if (same) {
          same.classList.remove("new"); // put in anew, it would appear anew
          row.replaceWith(same);
        } else {
          row.classList.add("new");
          if (!known.has(passageOf(row)) && row.dataset.say) news.push(row.dataset.say);
        }
      }
      old.replaceChildren(...now.childNodes);
      if (focused) {
        // Of a row that says something new by now, the same link of the same passage: others link there too.
        const like = (link) =>
          passageOf(link) === passage && link.getAttribute("href") === focused.getAttribute("href");
        const again = focused.isConnected ? focused : all("a", old).find(like);
        again?.focus({ preventScroll: true });
      }
      if (news.length && announce) announce.textContent = news.slice(0, 3).join(". ");
    }
    for (const old of all("[data-fresh-text]")) {
      const now = page.getElementById(old.id);
      if (now && (now.textContent !== old.textContent || now.className !== old.className)) {
        old.textContent = now.textContent;
        old.className = now.className;
      }
    }
  };
  setTimeout(step, 3000);
}

for (const button of all("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  button.hidden = false;
  button.addEventListener("click", async () => {
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected: press Ctrl+C"; // over HTTP browsers let no script copy
    }
  });
}

// Regions and masks: polygons over the picture. What is sent are the two texts, which one may type as well.
for (const editor of all("[data-editor]")) {
  const svgns = "http://www.w3.org/2000/svg";
  const svg = editor.querySelector("svg");
  const areas = { region: document.getElementById("regions"), mask: document.getElementById("masks") };
  const status = document.getElementById("editor-status");
  const buttons = Object.fromEntries(all("[data-do]").map((b) => [b.dataset.do, b]));
  let shapes = [];
  let open = null; // the polygon that is being drawn
  let tall = 562.5; // of 1000 across: as the picture is
  const round = (v) => Math.round(Math.min(1, Math.max(0, v)) * 1000) / 1000;

  const read = () => {
    const found = [];
    for (const [kind, area] of Object.entries(areas)) {
      try {
        for (const points of JSON.parse(area.value || "[]")) {
          found.push({ kind, points: points.map(([x, y]) => [round(+x), round(+y)]) });
        }
        if (found.some((shape) => shape.points.flat().some(Number.isNaN))) throw new TypeError("no number");
        area.removeAttribute("aria-invalid");
      } catch {
        area.setAttribute("aria-invalid", "true");
        say(`The text of the ${kind}s is no list of polygons; the picture shows what was before.`);
        return;
      }
    }
    shapes = found;
    open = null;
    draw();
  };
  const write = () => {
    for (const [kind, area] of Object.entries(areas)) {
      const whole = shapes.filter((s) => s.kind === kind && s.points.length > 2);
      area.value = JSON.stringify(whole.map((s) => s.points));
    }
  };
  const say = (text) => (status.textContent = text);
  const remove = (shape, index) => {
    shape.points.splice(index, 1);
    if (shape !== open && shape.points.length < 3) shapes = shapes.filter((s) => s !== shape);
    write();
    draw();
    say("Corner removed.");
  };
  const corners = (shape) => shape.points.map(([x, y]) => `${x * 1000},${y * tall}`).join(" ");
  const fit = (image) => {
    tall = (1000 * image.naturalHeight) / image.naturalWidth || tall;
    svg.setAttribute("viewBox", `0 0 1000 ${tall}`);
  };
  const draw = (focus = null) => {
    svg.replaceChildren();
    shapes.forEach((shape, number) => {
      const polygon = document.createElementNS(svgns, "polygon");
      polygon.setAttribute("class", shape.kind);
      polygon.setAttribute("points", corners(shape));
      svg.append(polygon);
      shape.points.forEach((point, index) => {
        const handle = document.createElementNS(svgns, "circle");
        const place = () => {
          handle.setAttribute("cx", point[0] * 1000);
          handle.setAttribute("cy", point[1] * tall);
          polygon.setAttribute("points", corners(shape));
          handle.setAttribute(
            "aria-label",
            `${shape.kind} ${number + 1}, corner ${index + 1}: ${Math.round(point[0] * 100)} % from the left, ` +
              `${Math.round(point[1] * 100)} % from the top`,
          );
        };
        handle.setAttribute("r", 11);
        handle.setAttribute("tabindex", "0");
        handle.setAttribute("role", "button");
        handle.setAttribute("aria-roledescription", "corner");
        place();
        handle.addEventListener("keydown", (event) => {
          const by = event.shiftKey ? 0.05 : 0.01;
          const [dx, dy] = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by] }[event.key] || [];
          if (dx !== undefined) {
            point[0] = round(point[0] + dx);
            point[1] = round(point[1] + dy);
            place();
            write();
            event.preventDefault();
          } else if (event.key === "Delete" || event.key === "Backspace") {
            remove(shape, index);
            svg.querySelector("circle")?.focus();
            event.preventDefault();
          }
        });
        handle.addEventListener("pointerdown", (event) => {
          event.stopPropagation();
          event.preventDefault();
          handle.focus();
          handle.setPointerCapture(event.pointerId);
          handle.onpointermove = (moved) => {
            [point[0], point[1]] = at(moved);
            place();
          };
          handle.onpointerup = handle.onpointercancel = () => {
            handle.onpointermove = null;
            write();
          };
        });
        handle.addEventListener("dblclick", () => remove(shape, index));
        svg.append(handle);
        if (focus && focus.shape === shape && focus.index === index) handle.focus();
      });
    });
    svg.parentElement.classList.toggle("drawing", open !== null);
    buttons.close.disabled = open === null;
    buttons.corner.disabled = open === null;
  };
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    return [round((event.clientX - box.left) / box.width), round((event.clientY - box.top) / box.height)];
  };
  const begin = (kind) => {
    finish();
    open = { kind, points: [] };
    shapes.push(open);
    draw();
    say(`New ${kind}: click its corners in the picture, or add them with the button and move each by the arrow keys.`);
  };
  const add = (point) => {
    open.points.push(point);
    write();
    draw({ shape: open, index: open.points.length - 1 });
  };
  const finish = () => {
    if (open && open.points.length < 3) {
      shapes = shapes.filter((s) => s !== open);
      say("A polygon has three corners at least; this one is dropped.");
    } else if (open) say(`The ${open.kind} is closed. Save to have it hold.`);
    open = null;
    write();
    draw();
  };
  svg.addEventListener("pointerdown", (event) => {
    if (open && event.button === 0) add(at(event));
  });
  buttons.region.addEventListener("click", () => begin("region"));
  buttons.mask.addEventListener("click", () => begin("mask"));
  buttons.corner.addEventListener("click", () => {
    const [x, y] = open.points.at(-1) || [0.45, 0.45];
    add([round(x + (open.points.length === 1 ? 0.1 : 0)), round(y + (open.points.length === 2 ? 0.1 : 0))]);
  });
  buttons.close.addEventListener("click", finish);
  buttons.clear.addEventListener("click", () => {
    shapes = [];
    open = null;
    write();
    draw();
    say("All polygons are taken away. Save to have it hold.");
  });
  for (const area of Object.values(areas)) area.addEventListener("change", read);
  for (const button of Object.values(buttons)) button.hidden = false;
  const image = editor.querySelector("img");
  if (image) {
    fit(image);
    image.addEventListener("load", () => {
      const before = tall;
      fit(image);
      if (tall !== before) draw();
    });
  }
  editor.closest("form")?.addEventListener("submit", () => open && finish());
  read();
}
