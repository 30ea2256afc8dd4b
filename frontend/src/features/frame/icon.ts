// The tab's icon, with a count where something waits: what one sees of a page in the background.
import source from '../../../public/icon.svg?raw';

const SHOWN_MAX = 99;

export function iconAddress(count: number): string {
  if (!count) return '/icon.svg';
  const text = count > SHOWN_MAX ? `${SHOWN_MAX}+` : String(count);
  const size = text.length > 2 ? 11 : 14;
  const badge = `<circle cx="21.5" cy="21.5" r="10.5" fill="#c0262d" stroke="#fff" stroke-width="1.5"/><text x="21.5" y="${21.5 + size * 0.36}" font-family="sans-serif" font-weight="700" font-size="${size}" text-anchor="middle" fill="#fff">${text}</text>`;
  return `data:image/svg+xml,${encodeURIComponent(source.replace('</svg>', `${badge}</svg>`))}`;
}

/** Shows the count in the tab. */
export function showCount(count: number): void {
  document.querySelector('link[rel="icon"]')?.setAttribute('href', iconAddress(count));
}
