"use strict";
(() => {
  const holder = document.getElementById("content");
  const content = JSON.parse(holder.textContent);
  const key = "nocicast-rois-" + holder.dataset.key;
  const $ = (id) => document.getElementById(id);
  const who = $("who"), level = $("level"), side = $("side"), rater = $("rater");
  const slice = $("slice"), frame = $("frame"), picture = $("picture"), rect = $("box");

  // One entry for each injection: box is x0, x1, y0, y1 in pixels, to the right and to the front.
  const start = () => ({
    rater: "",
    kept: content.necks.flatMap((neck, at) => neck.rois.map((roi) => ({ neck: at, ...roi })))
      .filter((one) => !content.second || one.status === "proposed"),
  });
  const load = () => {
    try { return JSON.parse(localStorage.getItem(key)) || start(); } catch { return start(); }
  };
  const state = load();
  const store = () => {
    try { localStorage.setItem(key, JSON.stringify(state)); } catch { /* private windows */ }
  };
  let box = null;
  let proposed = false;
  let beside = false; // the box is the one beside the cord, and another on each slice

  const neck = () => content.necks[Number(who.value)];
  const counts = () => [neck().along.x[2], neck().along.y[2]];
  const same = (one) => one.neck === Number(who.value) && one.level === level.value
    && one.side === side.value;
  // A second reader does not see what others drew; it is saved again beside what they draw.
  const others = (at) => (content.second ? content.necks[at].rois : [])
    .filter((one) => one.status !== "proposed").map((one) => ({ neck: at, ...one }));
  const say = (text) => { $("state").textContent = text; };
  const millimetres = (one, at) => {
    const [sx, sy] = content.necks[at].sizes;
    return [(one[1] - one[0] + 1) * sx, (one[3] - one[2] + 1) * sy];
  };

  function show() {
    const at = Number(slice.value), [nx, ny] = counts(), [sx, sy] = neck().sizes;
    picture.src = neck().pictures[at];
    const width = Math.min(640, Math.max(320, nx * sx * 4));
    picture.style.width = width + "px";
    picture.style.aspectRatio = (nx * sx) + " / " + (ny * sy);
    $("slice-name").textContent = "voxel " + neck().slices[at] + " (" + (at + 1) + " of "
      + neck().slices.length + ")";
    const svg = $("overlay");
    svg.setAttribute("viewBox", "0 0 " + nx + " " + ny);
    svg.setAttribute("preserveAspectRatio", "none");
    if (!box) { rect.setAttribute("width", 0); rect.setAttribute("height", 0); return; }
    const [x0, x1, y0, y1] = box;
    rect.setAttribute("x", nx - 1 - x1); rect.setAttribute("width", x1 - x0 + 1);
    rect.setAttribute("y", ny - 1 - y1); rect.setAttribute("height", y1 - y0 + 1);
    rect.classList.toggle("proposed", proposed);
  }

  function choose() {
    const found = state.kept.find(same);
    slice.max = neck().slices.length - 1;
    box = found ? [...found.box] : null;
    proposed = Boolean(found) && found.status === "proposed";
    beside = false;
    if (found) slice.value = Math.max(0, neck().slices.indexOf(found.slice));
    follow();
    say(beside ? "A box beside the cord: choose the slice, look, and keep it or draw another."
      : found ? (proposed ? "A proposal: look, and keep it or draw another." : "This box is kept.")
        : "No box yet: draw it on the slice.");
  }

  // Of a box that nobody has drawn, each slice has its own.
  function follow() {
    if (!box || beside) {
      const one = (neck().beside[side.value] || [])[Number(slice.value)];
      box = one ? [...one] : null;
      beside = proposed = Boolean(one);
    }
    show();
  }

  function open(at) {
    who.value = at;
    const wanted = neck().told.find(([l, s]) => !state.kept.some((one) => one.neck === at
      && one.level === l && one.side === s && one.status === "confirmed"));
    const first = wanted || neck().told[0] || (() => {
      const one = state.kept.find((kept) => kept.neck === at);
      return one ? [one.level, one.side] : null;
    })();
    if (first) { level.value = first[0]; side.value = first[1]; }
    slice.max = neck().slices.length - 1;
    slice.value = Math.floor(neck().slices.length / 2);
    choose();
  }

  const clamp = (value, most) => Math.max(0, Math.min(most, value));

  function pixel(event) {
    const area = picture.getBoundingClientRect(), [nx, ny] = counts();
    return [
      clamp(nx - 1 - Math.floor((event.clientX - area.left) / area.width * nx), nx - 1),
      clamp(ny - 1 - Math.floor((event.clientY - area.top) / area.height * ny), ny - 1),
    ];
  }

  let from = null;
  frame.addEventListener("pointerdown", (event) => {
    from = pixel(event);
    frame.setPointerCapture(event.pointerId);
    frame.focus();
    event.preventDefault();
  });
  frame.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [x, y] = pixel(event);
    box = [Math.min(x, from[0]), Math.max(x, from[0]), Math.min(y, from[1]), Math.max(y, from[1])];
    proposed = beside = false;
    show();
  });
  frame.addEventListener("pointerup", () => { from = null; if (box) describe(); });

  function describe() {
    const [width, depth] = millimetres(box, Number(who.value));
    say("Box of " + width.toFixed(0) + " × " + depth.toFixed(0) + " mm, not kept yet.");
  }

  const arrows = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  frame.addEventListener("keydown", (event) => {
    const [nx, ny] = counts();
    if (event.key === "PageUp" || event.key === "PageDown") {
      slice.value = Number(slice.value) + (event.key === "PageUp" ? 1 : -1);
      follow();
    } else if (event.key === "Enter") {
      keep();
    } else if (arrows[event.key]) {
      if (!box) {
        const [sx, sy] = neck().sizes, half = [12.5 / sx, 12.5 / sy];
        box = [nx / 2 - half[0], nx / 2 + half[0], ny / 2 - half[1], ny / 2 + half[1]]
          .map(Math.round);
        box = [clamp(box[0], nx - 1), clamp(box[1], nx - 1), clamp(box[2], ny - 1),
          clamp(box[3], ny - 1)];
      }
      const [dx, dy] = arrows[event.key];
      if (event.shiftKey) {
        // the edge that lies in the direction of the arrow's axis grows or shrinks
        box[1] = Math.max(box[0], clamp(box[1] - dx, nx - 1));
        box[3] = Math.max(box[2], clamp(box[3] + dy, ny - 1));
      } else {
        const x = clamp(box[0] + dx, nx - 1 - (box[1] - box[0])) - box[0];
        const y = clamp(box[2] + dy, ny - 1 - (box[3] - box[2])) - box[2];
        box = [box[0] + x, box[1] + x, box[2] + y, box[3] + y];
      }
      proposed = beside = false;
      show();
      describe();
    } else {
      return;
    }
    event.preventDefault();
  });

  // What is seen alone: nothing of it is saved.
  $("brightness").addEventListener("input", (event) => {
    picture.style.filter = "brightness(" + event.target.value + ")";
    $("brightness-name").textContent = Number(event.target.value) + "×";
  });

  function keep() {
    if (!box) { say("There is no box to keep: draw it on the slice first."); return; }
    if (others(Number(who.value)).length && !rater.value.trim()) {
      say("Write your initials first: boxes by another reader are there, and both are saved.");
      rater.focus();
      return;
    }
    const short = Math.min(box[1] - box[0], box[3] - box[2]) + 1;
    if (short < content.least) {
      say("The box has " + short + " voxels along one side; at least " + content.least
        + " are needed. It was not kept.");
      return;
    }
    const made = {
      neck: Number(who.value), level: level.value, side: side.value,
      slice: neck().slices[Number(slice.value)], box: [...box], status: "confirmed",
      rater: rater.value.trim(), date: new Date().toISOString().slice(0, 10),
    };
    state.kept = [...state.kept.filter((one) => !same(one)), made];
    proposed = beside = false;
    store();
    show();
    list();
    say("Kept: " + neck().label + ", " + made.level + "-" + made.side + ".");
  }

  function list() {
    const body = document.querySelector("#boxes tbody");
    body.replaceChildren();
    const sorted = [...state.kept].sort((a, b) => a.neck - b.neck
      || (a.level + a.side).localeCompare(b.level + b.side));
    for (const one of sorted) {
      const row = body.insertRow(), name = content.necks[one.neck].label;
      const injection = one.level + "-" + one.side;
      const size = millimetres(one.box, one.neck).map((mm) => mm.toFixed(0)).join(" × ") + " mm";
      for (const text of [name, injection, one.slice, size, one.status])
        row.insertCell().textContent = text;
      const last = row.insertCell();
      for (const [word, act] of [["Show", () => {
        who.value = one.neck; level.value = one.level; side.value = one.side; choose();
        frame.focus();
      }], ["Remove", () => {
        state.kept = state.kept.filter((other) => other !== one); store(); list(); choose();
      }]]) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = word;
        button.setAttribute("aria-label", word + " " + name + " " + injection);
        button.addEventListener("click", act);
        last.append(button);
      }
    }
    const done = content.necks.filter((_, at) => state.kept.some((one) => one.neck === at
      && one.status === "confirmed")).length;
    $("count").textContent = done + " of " + content.necks.length + " images have a kept box.";
  }

  // Voxels of the file from pixels of the slice.
  function voxels(one) {
    const along = content.necks[one.neck].along, found = {};
    for (const [name, first, last] of [["x", one.box[0], one.box[1]], ["y", one.box[2],
      one.box[3]]]) {
      const [letter, flipped, count] = along[name];
      found[letter] = flipped ? [count - 1 - last, count - 1 - first] : [first, last];
    }
    return [...found.i, ...found.j];
  }

  function table(at) {
    const mine = state.kept.filter((one) => one.neck === at);
    if (!mine.length) return null;
    const rows = [...others(at).filter((one) => !mine.some((own) => own.level === one.level
      && own.side === one.side && own.rater === one.rater)), ...mine];
    const lines = rows.map((one) => [one.level, one.side, one.slice, ...voxels(one),
      (one.rater || "n/a").replace(/[\t\r\n]+/g, " "), one.date || "n/a", one.status].join("\t"));
    return [content.columns.join("\t"), ...lines, ""].join("\n");
  }

  function files() {
    const all = [["dataset_description.json", JSON.stringify({
      Name: "Boxes around foramina", BIDSVersion: "1.10.0", DatasetType: "derivative",
      GeneratedBy: [{ Name: "NociCast", Description: "placed by a reader on roi.html" }],
    }, null, 2) + "\n"]];
    content.necks.forEach((one, at) => {
      const text = table(at);
      if (!text) return;
      const stem = one.folder + "/" + one.stem + "_desc-foramen_roi";
      all.push([stem + ".tsv", text], [stem + ".json", JSON.stringify(one.sidecar, null, 2) + "\n"]);
    });
    return all;
  }

  function checksum(bytes) {
    let sum = ~0;
    for (const byte of bytes) {
      sum ^= byte;
      for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
    }
    return ~sum >>> 0;
  }

  // A zip archive whose files are stored as they are (PKWARE APPNOTE 4.3).
  function archive(entries) {
    const parts = [], index = [], text = new TextEncoder();
    let offset = 0;
    for (const [name, body] of entries) {
      const label = text.encode(name), data = text.encode(body), sum = checksum(data);
      const common = [20, 0x0800, 0, 0, 0x5821]; // version, UTF-8 names, stored, 1 January 2024
      const head = new DataView(new ArrayBuffer(30)), entry = new DataView(new ArrayBuffer(46));
      head.setUint32(0, 0x04034b50, true);
      entry.setUint32(0, 0x02014b50, true);
      entry.setUint16(4, 20, true);
      common.forEach((value, at) => {
        head.setUint16(4 + 2 * at, value, true);
        entry.setUint16(6 + 2 * at, value, true);
      });
      [sum, data.length, data.length].forEach((value, at) => {
        head.setUint32(14 + 4 * at, value, true);
        entry.setUint32(16 + 4 * at, value, true);
      });
      head.setUint16(26, label.length, true);
      entry.setUint16(28, label.length, true);
      entry.setUint32(42, offset, true);
      parts.push(head, label, data);
      index.push(entry, label);
      offset += 30 + label.length + data.length;
    }
    const size = index.reduce((sum, part) => sum + part.byteLength, 0);
    const end = new DataView(new ArrayBuffer(22));
    end.setUint32(0, 0x06054b50, true);
    end.setUint16(8, entries.length, true);
    end.setUint16(10, entries.length, true);
    end.setUint32(12, size, true);
    end.setUint32(16, offset, true);
    return new Blob([...parts, ...index, end], { type: "application/zip" });
  }

  function download(name, blob) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  $("save").addEventListener("click", () => {
    if (!state.kept.length) { say("There is no box to save."); return; }
    download("rois.zip", archive(files()));
    say("Saved rois.zip: unpack it into <bids_dir>/derivatives/rois.");
  });
  $("save-one").addEventListener("click", () => {
    const text = table(Number(who.value));
    if (!text) { say("This image has no box to save."); return; }
    download(neck().stem + "_desc-foramen_roi.tsv", new Blob([text], { type: "text/plain" }));
  });
  $("keep").addEventListener("click", keep);
  $("next").addEventListener("click", () => {
    const without = content.necks.findIndex((one, at) => {
      const asked = one.told.length ? one.told : null;
      const has = (l, s) => state.kept.some((kept) => kept.neck === at
        && kept.status === "confirmed" && (!l || (kept.level === l && kept.side === s)));
      return asked ? asked.some(([l, s]) => !has(l, s)) : !has();
    });
    if (without < 0) { say("Every image has its boxes."); return; }
    open(without);
    frame.focus();
  });
  who.addEventListener("change", () => open(Number(who.value)));
  level.addEventListener("change", choose);
  side.addEventListener("change", choose);
  slice.addEventListener("input", follow);
  rater.addEventListener("change", () => { state.rater = rater.value; store(); });
  rater.value = state.rater || "";
  list();
  open(0);
})();
