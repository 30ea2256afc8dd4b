/** Lines in an address: `#L120`, `#L120-L140`. Numbers are those shown, from 1 on. */
import type { Marked } from './rows';

export function marksOf(hash: string): Marked | null {
  const match = /^#L(\d{1,9})(?:-L?(\d{1,9}))?$/.exec(hash);
  if (!match) return null;
  const first = Number(match[1]) - 1;
  const last = Number(match[2] ?? match[1]) - 1;
  return first < 0 || last < 0 ? null : { from: Math.min(first, last), to: Math.max(first, last) };
}

export function hashOf(marked: Marked | null): string {
  if (marked === null) return '';
  return marked.from === marked.to ? `#L${marked.from + 1}` : `#L${marked.from + 1}-L${marked.to + 1}`;
}
