/**
 * Colours that a program chose freely, moved as little as needed to be legible (WCAG 2.2, 1.4.3: 4.5:1).
 */
export type Rgb = readonly [red: number, green: number, blue: number];

const LEGIBLE_RATIO = 4.5;

/** Relative luminance, 0 for black to 1 for white (WCAG 2.2). */
export function luminance([red, green, blue]: Rgb): number {
  const linear = (channel: number) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

export function contrast(one: number, other: number): number {
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
}

/** The colour nearest to `colour`, on its way to black or white, that is legible on a surface of that luminance. */
export function legible(colour: Rgb, surface: number): Rgb {
  if (contrast(luminance(colour), surface) >= LEGIBLE_RATIO) return colour;
  const target = contrast(1, surface) >= contrast(0, surface) ? 255 : 0;
  let near = 0;
  let far = 1;
  const mixed = (share: number): Rgb => [
    Math.round(colour[0] + (target - colour[0]) * share),
    Math.round(colour[1] + (target - colour[1]) * share),
    Math.round(colour[2] + (target - colour[2]) * share),
  ];
  for (let step = 0; step < 8; step++) {
    const middle = (near + far) / 2;
    if (contrast(luminance(mixed(middle)), surface) >= LEGIBLE_RATIO) far = middle;
    else near = middle;
  }
  return mixed(far);
}

/** Parse what `getComputedStyle` answers for a colour: `rgb(1, 2, 3)` or `rgb(1 2 3 / 1)`. */
export function parseRgb(css: string): Rgb | null {
  const numbers = /^rgba?\(([^)]*)\)$/
    .exec(css.trim())?.[1]
    ?.match(/[\d.]+/g)
    ?.map(Number);
  return numbers && numbers.length >= 3 ? [numbers[0] as number, numbers[1] as number, numbers[2] as number] : null;
}
