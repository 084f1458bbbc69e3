// Icons of thin lines on a grid of 20.

import { s } from "./dom.js";

/** @type {Record<string, string>} */
const PATHS = {
  overview: "M3 11h3l2-6 4 11 2-5h3",
  providers: "M4 5.5h12v4H4zM4 11.5h12v4H4zM7 7.5h.01M7 13.5h.01",
  routing: "M4 6h3c4 0 3 8 7 8h2M4 14h3c1.5 0 2.3-1 3-2M12 8c.7-1.200 1.500-2 3-2h1M14 4l2 2-2 2M14 12l2 2-2 2",
  models: "M9 3.500a5.500 5.500 0 1 1 0 11 5.500 5.500 0 0 1 0-11M13 13l4 4",
  playground: "M3.500 4.500h13v9h-7l-3.500 3v-3h-2.500zM7 8h6M7 10.500h4",
  preview: "M5 3h7l3 3v11H5zM8 9h4M10 7v4M8 14h4",
  settings: "M3 6h8M15 6h2M3 14h2M9 14h8M13 4v4M7 12v4",
  up: "M5 12l5-5 5 5",
  down: "M5 8l5 5 5-5",
  remove: "M6 6l8 8M14 6l-8 8",
  add: "M10 4v12M4 10h12",
  copy: "M7 7h9v9H7zM4 13V4h9",
  show: "M2.500 10s3-5 7.500-5 7.500 5 7.500 5-3 5-7.500 5-7.500-5-7.500-5M10 8a2 2 0 1 1 0 4 2 2 0 0 1 0-4",
  paste: "M7 4H5v13h10V4h-2M7.500 2.500h5v3h-5z",
  check: "M4 10.500l4 4 8-9",
  link: "M8 5H4v11h11v-4M11 4h5v5M16 4l-7 7",
  warn: "M10 3l7.500 13.500h-15zM10 8v4M10 14.300v.01",
  send: "M3 10l14-6-5 13-3-6z",
  power: "M10 3v7M6 5.500a6 6 0 1 0 8 0",
  more: "M5 10h.01M10 10h.01M15 10h.01",
};

/** @param {string} name @param {number} [size] */
export function icon(name, size = 16) {
  return s(
    "svg.icon",
    { viewBox: "0 0 20 20", width: size, height: size, "aria-hidden": "true", focusable: "false" },
    s("path", { d: PATHS[name] }),
  );
}

/** The mark of the house. @param {number} [size] */
export function mark(size = 26) {
  return s(
    "svg.mark",
    { viewBox: "0 0 32 32", width: size, height: size, "aria-hidden": "true" },
    s("path", { d: "M3 16h8M21.300 13l7.700-6M21.300 19l7.700 6M21.500 16H29" }),
    s("circle", { cx: 16, cy: 16, r: 5.5 }),
    s("circle.core", { cx: 16, cy: 16, r: 1.8 }),
  );
}
