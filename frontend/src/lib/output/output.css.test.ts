import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { contrast, luminance, type Rgb } from './contrast';

const css = readFileSync(new URL('./output.css', import.meta.url), 'utf8');

function palette(selector: string): Map<string, number> {
  const body = css.slice(css.indexOf(`${selector} {`)).split('}')[0] ?? '';
  return new Map(
    [...body.matchAll(/--([\w-]+): #([\da-f]{6});/g)].map(([, name = '', hex = '']) => [name, luminance(rgb(hex))]),
  );
}

function rgb(hex: string): Rgb {
  const value = Number.parseInt(hex, 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

describe.each([
  ['light', '\n.output'],
  ['dark', ':root[data-theme="dark"] .output'],
])('in the %s theme', (_, selector) => {
  const colours = palette(selector);
  const of = (name: string) => colours.get(name) ?? Number.NaN;
  const texts = ['output-ink', ...Array.from({ length: 16 }, (_, number) => `fg-${number}`)];

  test('every colour can be read on the surface, on every background and on a marked line', () => {
    const grounds = ['output-surface', 'output-mark', ...Array.from({ length: 16 }, (_, number) => `bg-${number}`)];
    for (const text of texts) {
      for (const ground of grounds) {
        expect(contrast(of(text), of(ground)), `${text} on ${ground}`).toBeGreaterThanOrEqual(4.5);
      }
    }
  });

  test('line numbers and times can be read', () => {
    expect(contrast(of('output-muted'), of('output-surface'))).toBeGreaterThanOrEqual(4.5);
  });

  test('the bar of stderr can be seen', () => {
    expect(contrast(of('output-stderr'), of('output-surface'))).toBeGreaterThanOrEqual(3);
  });
});
