/**
 * The page's script, as it runs in the browser: draws the points of the JSON block `points` on the canvas `scatter`,
 * says what lies under the pointer, and lets the legend hide groups. Text reaches the page only by `textContent`.
 */
export const SCATTER_SCRIPT = `'use strict';
(() => {
  const data = JSON.parse(document.getElementById('points').textContent);
  const decode = (text, Type) => new Type(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const x = decode(data.x, Uint16Array), y = decode(data.y, Uint16Array);
  const bin = decode(data.bin, Int32Array), rank = decode(data.rank, Int32Array), row = decode(data.row, Int32Array);
  const chosen = decode(data.chosen, Uint8Array);
  const count = x.length;
  const chosenCount = chosen.reduce((sum, one) => sum + one, 0);
  const canvas = document.getElementById('scatter');
  const tip = document.getElementById('tip');
  const context = canvas.getContext('2d');
  const margin = 26;
  const radius = count - chosenCount > 5000 ? 1.4 : count - chosenCount > 1000 ? 2.1 : 3;
  const chosenRadius = chosenCount > 3000 ? 2.4 : chosenCount > 400 ? 3.6 : 5;

  const hiddenGroups = new Set();
  const hiddenKinds = new Set();
  const groupOf = (i) => (bin[i] < 0 ? -1 : Math.floor(bin[i] / data.binsPerColour));
  const visible = (i) => !hiddenKinds.has(chosen[i] ? 'chosen' : 'rest') && !hiddenGroups.has(groupOf(i));

  let px = new Float32Array(count), py = new Float32Array(count);
  let current = -1;

  // One scale for both axes: distances in the picture are distances in the projection.
  function layout() {
    const width = canvas.clientWidth, height = canvas.clientHeight, density = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    context.setTransform(density, 0, 0, density, 0, 0);
    const scale = Math.min((width - 2 * margin) / (data.width || 1e-9), (height - 2 * margin) / (data.height || 1e-9));
    const size = Math.min(scale, 1e6) / 65535;
    const left = (width - data.width * 65535 * size) / 2, bottom = (height + data.height * 65535 * size) / 2;
    for (let i = 0; i < count; i++) {
      px[i] = left + x[i] * size;
      py[i] = bottom - y[i] * size;
    }
  }

  function draw() {
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue('--ink').trim(), page = style.getPropertyValue('--page').trim();
    const colours = new Map();
    const colourOf = (group) => {
      if (!colours.has(group)) colours.set(group, style.getPropertyValue(group < 0 ? '--none' : '--b' + group).trim());
      return colours.get(group);
    };
    context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    for (let i = 0; i < count; i++) {
      if (!visible(i)) continue;
      context.beginPath();
      context.arc(px[i], py[i], chosen[i] ? chosenRadius : radius, 0, 7);
      context.globalAlpha = chosen[i] ? 1 : 0.5;
      context.fillStyle = colourOf(groupOf(i));
      context.fill();
      if (chosen[i] && chosenRadius > 3) {
        context.lineWidth = 1.1;
        context.strokeStyle = ink;
        context.stroke();
      }
    }
    context.globalAlpha = 1;
    if (current < 0) return;
    context.beginPath();
    context.arc(px[current], py[current], chosenRadius + 4, 0, 7);
    context.lineWidth = 4;
    context.strokeStyle = page;
    context.stroke();
    context.lineWidth = 2;
    context.strokeStyle = ink;
    context.stroke();
  }

  function say(i) {
    current = i;
    tip.hidden = i < 0;
    tip.replaceChildren();
    if (i >= 0) {
      const image = document.querySelector('figure[data-row="' + row[i] + '"] img');
      if (image) tip.append(image.cloneNode());
      const name = document.createElement('b');
      name.textContent = data.ids[i];
      const place = document.createElement('span');
      place.textContent = (bin[i] < 0 ? 'in no bin' : 'bin ' + bin[i] + (rank[i] < 0 ? '' : ', #' + rank[i])) + (chosen[i] ? ', chosen' : ', not chosen');
      tip.append(name, place);
      const width = canvas.clientWidth;
      tip.style.left = Math.max(0, Math.min(px[i] + 14, width - tip.offsetWidth - 4)) + 'px';
      tip.style.top = (py[i] > canvas.clientHeight / 2 ? py[i] - tip.offsetHeight - 14 : py[i] + 14) + 'px';
    }
    draw();
  }

  function nearest(event) {
    const box = canvas.getBoundingClientRect();
    const mx = event.clientX - box.left, my = event.clientY - box.top;
    let best = -1, bestDistance = 14 * 14;
    for (let i = 0; i < count; i++) {
      if (!visible(i)) continue;
      const distance = (px[i] - mx) ** 2 + (py[i] - my) ** 2;
      if (distance <= bestDistance) [best, bestDistance] = [i, distance];
    }
    return best;
  }

  function step(direction) {
    for (let tried = 0, i = current; tried < count; tried++) {
      i = i < 0 && direction < 0 ? count - 1 : (i + direction + count) % count;
      if (chosen[i] && visible(i)) return say(i);
    }
  }

  canvas.addEventListener('pointermove', (event) => {
    const i = nearest(event);
    if (i !== current) say(i);
  });
  canvas.addEventListener('pointerleave', () => say(-1));
  canvas.addEventListener('blur', () => say(-1));
  canvas.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowRight') step(1);
    else if (event.key === 'ArrowLeft') step(-1);
    else if (event.key === 'Escape') say(-1);
    else return;
    event.preventDefault();
  });

  for (const button of document.querySelectorAll('.legend button')) {
    button.addEventListener('click', () => {
      const on = button.getAttribute('aria-pressed') !== 'true';
      button.setAttribute('aria-pressed', String(on));
      const [set, key] = button.dataset.show ? [hiddenKinds, button.dataset.show] : [hiddenGroups, Number(button.dataset.group)];
      if (on) set.delete(key);
      else set.add(key);
      say(-1);
    });
  }

  new ResizeObserver(() => { layout(); say(-1); }).observe(canvas);
  for (const query of ['(prefers-color-scheme: dark)', 'print']) matchMedia(query).addEventListener('change', draw);
  layout();
  draw();
})();
`;
