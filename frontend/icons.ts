// The icon as PNG files, for home screens that take no SVG. Drawn from the shapes of public/icon.svg by their distances,
// so that they need neither a browser nor a library.
import { crc32, deflateSync } from 'node:zlib';
import type { Plugin } from 'vite';

type Point = readonly [number, number];

const GROUND: Point = [32, 8]; // side and corner radius of the square, in the units of the SVG
const PEAK: readonly [Point, Point, Point] = [
  [7, 21.5],
  [16, 8],
  [25, 21.5],
];
const STROKE = 3;
const DOT = { x: 16, y: 21.5, radius: 2.6 };
const COLOUR = [0x53, 0x47, 0xd8] as const;
/** Systems cut maskable icons to any shape; only this share in the middle is sure to be seen. */
const SAFE_SHARE = 0.72;

function toSquare(x: number, y: number): number {
  const [side, radius] = GROUND;
  const dx = Math.abs(x - side / 2) - (side / 2 - radius);
  const dy = Math.abs(y - side / 2) - (side / 2 - radius);
  return Math.hypot(Math.max(dx, 0), Math.max(dy, 0)) + Math.min(Math.max(dx, dy), 0) - radius;
}

function toLine(x: number, y: number, [ax, ay]: Point, [bx, by]: Point): number {
  const along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2);
  const t = Math.max(0, Math.min(1, along));
  return Math.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay));
}

function toMark(x: number, y: number): number {
  const [left, top, right] = PEAK;
  const line = Math.min(toLine(x, y, left, top), toLine(x, y, top, right)) - STROKE / 2;
  return Math.min(line, Math.hypot(x - DOT.x, y - DOT.y) - DOT.radius);
}

/** The icon with `size` pixels a side; `maskable` fills the whole square and keeps the mark in its middle. */
export function png(size: number, { maskable = false } = {}): Buffer {
  const unit = GROUND[0] / size;
  const rows = Buffer.alloc(size * (size * 4 + 1));
  const cover = (distance: number) => Math.max(0, Math.min(1, 0.5 - distance / unit));
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      const [x, y] = [(column + 0.5) * unit, (row + 0.5) * unit];
      const middle = (it: number) => (maskable ? (it - 16) / SAFE_SHARE + 16 : it);
      const mark = cover(toMark(middle(x), middle(y)));
      const at = row * (size * 4 + 1) + 1 + column * 4;
      COLOUR.forEach((part, index) => {
        rows[at + index] = Math.round(part + (255 - part) * mark);
      });
      rows[at + 3] = Math.round(255 * (maskable ? 1 : cover(toSquare(x, y))));
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(size, 0);
  head.writeUInt32BE(size, 4);
  head.set([8, 6, 0, 0, 0], 8); // 8 bits each of red, green, blue and alpha
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const [size, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  size.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([size, body, sum]);
}

/** Puts the PNG files beside index.html. */
export function icons(): Plugin {
  return {
    name: 'icons',
    apply: 'build',
    generateBundle() {
      const files: [string, Buffer][] = [
        ['icon-192.png', png(192)],
        ['icon-512.png', png(512)],
        ['icon-maskable-512.png', png(512, { maskable: true })],
        ['apple-touch-icon.png', png(180, { maskable: true })],
      ];
      for (const [fileName, source] of files) this.emitFile({ type: 'asset', fileName, source });
    },
  };
}
