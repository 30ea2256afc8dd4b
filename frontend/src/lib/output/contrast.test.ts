import { expect, test } from 'vitest';
import { contrast, legible, luminance, parseRgb, type Rgb } from './contrast';

const WHITE = 1;
const NEAR_BLACK = luminance([13, 17, 23]);

test('every colour of the cube becomes legible on both themes', () => {
  for (const surface of [WHITE, NEAR_BLACK]) {
    for (let red = 0; red <= 255; red += 51) {
      for (let green = 0; green <= 255; green += 51) {
        for (let blue = 0; blue <= 255; blue += 51) {
          expect(contrast(luminance(legible([red, green, blue], surface)), surface)).toBeGreaterThanOrEqual(4.5);
        }
      }
    }
  }
});

test('a colour that is legible stays as it is', () => {
  const colour: Rgb = [0, 100, 0];
  expect(legible(colour, WHITE)).toBe(colour);
});

test('computed colours are read', () => {
  expect(parseRgb('rgb(1, 2, 3)')).toEqual([1, 2, 3]);
  expect(parseRgb('rgba(1 2 3 / 0.5)')).toEqual([1, 2, 3]);
  expect(parseRgb('transparent')).toBeNull();
});
