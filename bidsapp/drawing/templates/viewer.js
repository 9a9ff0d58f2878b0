"use strict";
// A brain to click in: three slices through one point, a map over the template.
(() => {
  const stageSource = document.getElementById("stage");
  if (!stageSource) return;
  const AXIS = { axial: 2, coronal: 1, sagittal: 0 };
  let stagePromise = null;

  const volume = async (pixels, shape, across) => {
    const image = new Image();
    image.src = "data:image/png;base64," + pixels;
    await image.decode();
    const sheet = document.createElement("canvas");
    sheet.width = image.naturalWidth;
    sheet.height = image.naturalHeight;
    const context = sheet.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const data = context.getImageData(0, 0, sheet.width, sheet.height).data;
    const [nx, ny, nz] = shape;
    const bytes = new Uint8Array(nx * ny * nz);
    for (let z = 0; z < nz; z++) {
      const top = Math.floor(z / across) * ny, left = (z % across) * nx;
      for (let y = 0; y < ny; y++)
        for (let x = 0; x < nx; x++)
          bytes[x + nx * (y + ny * z)] = data[4 * ((top + y) * sheet.width + left + x)];
    }
    return bytes;
  };
  const stage = () => {
    stagePromise ??= (async () => {
      const content = JSON.parse(stageSource.textContent);
      content.grey = await volume(content.pixels, content.shape, content.across);
      return content;
    })();
    return stagePromise;
  };
  const signed = (value, digits) => {
    const text = Math.abs(value) < 10 ** -digits / 2 ? (0).toFixed(digits) : value.toFixed(digits);
    return (value > 0 && Number(text) !== 0 ? "+" : "") + text.replace("-", "−");
  };
  const precise = (value) => (value === 0 ? "0" : (value > 0 ? "+" : "") + value.toPrecision(3).replace("-", "−"));

  const start = async (box) => {
    const { shape, affine, across, grey, colours } = await stage();
    const content = JSON.parse(document.getElementById(box.dataset.source).textContent);
    const part = (name) => box.querySelector(`[data-part="${name}"]`);
    const canvases = Object.fromEntries(Object.keys(AXIS).map((plane) => [plane, part(plane)]));
    const point = shape.map((size) => Math.floor(size / 2));
    let map = null, bytes = null;

    const millimetres = (at) =>
      [0, 1, 2].map((row) => affine[row][0] * at[0] + affine[row][1] * at[1] + affine[row][2] * at[2] + affine[row][3]);
    const at = (x, y, z) => x + shape[0] * (y + shape[1] * z);
    const value = (index) => ((bytes[index] - 128) / 127) * map.top;

    const draw = () => {
      const limit = Number(part("threshold").value) / 100;
      for (const [plane, canvas] of Object.entries(canvases)) {
        const [a, b] = [0, 1, 2].filter((axis) => axis !== AXIS[plane]);
        const [wide, high] = [shape[a], shape[b]];
        const picture = new ImageData(wide, high);
        const place = [...point];
        for (let row = 0; row < high; row++) {
          place[b] = high - 1 - row;
          for (let column = 0; column < wide; column++) {
            place[a] = column;
            const index = at(...place), to = 4 * (row * wide + column);
            const size = Math.abs(bytes[index] - 128) / 127;
            let red, green, blue;
            if (size > 0 && size >= limit) {
              const step = Math.round(Math.min(1, (size - limit) / Math.max(1 - limit, 1e-6)) * 127);
              const colour = 3 * (bytes[index] < 128 ? 127 - step : 128 + step);
              [red, green, blue] = [colours[colour], colours[colour + 1], colours[colour + 2]];
            } else red = green = blue = grey[index] * 0.8;
            picture.data[to] = red; picture.data[to + 1] = green; picture.data[to + 2] = blue; picture.data[to + 3] = 255;
          }
        }
        const small = document.createElement("canvas");
        small.width = wide; small.height = high;
        small.getContext("2d").putImageData(picture, 0, 0);
        canvas.width = wide * 4; canvas.height = high * 4;
        const context = canvas.getContext("2d");
        context.imageSmoothingQuality = "high";
        context.drawImage(small, 0, 0, canvas.width, canvas.height);
        context.strokeStyle = "rgb(120 255 120 / 75%)";
        context.lineWidth = 1.5;
        context.beginPath();
        const x = (point[a] + 0.5) * 4, y = (high - 0.5 - point[b]) * 4;
        context.moveTo(x, 0); context.lineTo(x, canvas.height);
        context.moveTo(0, y); context.lineTo(canvas.width, y);
        context.stroke();
        const where = millimetres(point)[AXIS[plane]];
        part(plane + "-label").textContent = `${"xyz"[AXIS[plane]]} = ${signed(where, 0)} mm`;
      }
      const [x, y, z] = millimetres(point);
      const side = Math.abs(x) < 1 ? "midline" : x > 0 ? "right" : "left";
      part("readout").textContent =
        `x ${signed(x, 0)}, y ${signed(y, 0)}, z ${signed(z, 0)} mm (${side}): ${precise(value(at(...point)))} ${map.units}`;
      part("threshold-label").textContent = `${(limit * map.top).toPrecision(3)} ${map.units}`;
      [..."xyz"].forEach((name, axis) => { part(name).value = point[axis]; });
    };
    const strongest = () => {
      let best = 0, where = at(...point);
      for (let index = 0; index < bytes.length; index++) {
        const size = Math.abs(bytes[index] - 128);
        if (size > best) { best = size; where = index; }
      }
      point[0] = where % shape[0];
      point[1] = Math.floor(where / shape[0]) % shape[1];
      point[2] = Math.floor(where / (shape[0] * shape[1]));
    };
    const toward = (place) => {
      // the voxel whose middle is nearest; the template's axes run along the grid's
      [0, 1, 2].forEach((axis) => {
        const index = Math.round((place[axis] - affine[axis][3]) / affine[axis][axis]);
        point[axis] = Math.min(shape[axis] - 1, Math.max(0, index));
      });
      draw();
    };
    const choose = async () => {
      map = content.maps[Number(part("map").value)];
      map.bytes ??= await volume(map.pixels, shape, across);
      bytes = map.bytes;
      part("threshold").value = Math.round(map.start * 100);
      part("about").textContent = map.about;
      strongest();
      draw();
    };

    content.maps.forEach((one, place) => part("map").append(new Option(one.name, place)));
    part("map").closest("label").hidden = content.maps.length < 2;
    [..."xyz"].forEach((name, axis) => {
      part(name).max = shape[axis] - 1;
      part(name).addEventListener("input", (event) => { point[axis] = Number(event.target.value); draw(); });
    });
    part("map").addEventListener("change", choose);
    part("threshold").addEventListener("input", draw);
    part("peak").addEventListener("click", () => { strongest(); draw(); });
    for (const [plane, canvas] of Object.entries(canvases)) {
      const go = (event) => {
        const frame = canvas.getBoundingClientRect();
        const [a, b] = [0, 1, 2].filter((axis) => axis !== AXIS[plane]);
        const inside = (share, size) => Math.min(size - 1, Math.max(0, Math.floor(share * size)));
        point[a] = inside((event.clientX - frame.left) / frame.width, shape[a]);
        point[b] = shape[b] - 1 - inside((event.clientY - frame.top) / frame.height, shape[b]);
        draw();
      };
      canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); go(event); });
      canvas.addEventListener("pointermove", (event) => { if (event.buttons & 1) go(event); });
    }
    for (const cell of box.parentElement.querySelectorAll("[data-place]")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "go";
      button.title = "Show this place in the viewer";
      button.append(...cell.childNodes);
      button.addEventListener("click", () => {
        toward(cell.dataset.place.split(" ").map(Number));
        box.scrollIntoView({ block: "start" });
      });
      cell.append(button);
    }
    await choose();
    box.classList.add("ready");
    part("waiting").hidden = true;
  };

  const begin = (box) => start(box).catch((error) => {
    box.querySelector('[data-part="waiting"]').textContent = "The viewer cannot start in this browser: " + error.message;
  });
  // Nothing is decoded before it comes near the window: a long report opens at once.
  const watch = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen)
      if (isIntersecting) { watch.unobserve(target); begin(target); }
  }, { rootMargin: "300px" });
  for (const box of document.querySelectorAll(".brain-viewer")) watch.observe(box);
})();
