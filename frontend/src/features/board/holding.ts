// A column while the pointer is on one of its cards: nothing moves under it. What comes in waits, what has left leaves
// its place empty, until the pointer goes away. Pure.

export interface Row<T> {
  task: T;
  /** It is in another column by now. */
  isGone: boolean;
}

export interface Held<T> {
  rows: Row<T>[];
  /** How many came in meanwhile and are not shown yet. */
  waiting: number;
}

/** The column as it was when it was held, with what was loaded below it since. */
export function heldRows<T>(before: readonly T[], now: readonly T[]): Held<T> {
  const here = new Set(now);
  const was = new Set(before);
  const rows = before.map((task) => ({ task, isGone: !here.has(task) }));
  const below = now.findLastIndex((task) => was.has(task)) + 1;
  // Without a card that stayed there is no below: all of them are new.
  const older = below > 0 ? now.slice(below) : [];
  const waiting = now.length - older.length - (before.length - rows.filter((row) => row.isGone).length);
  return { rows: [...rows, ...older.map((task) => ({ task, isGone: false }))], waiting };
}

/** A pointer that lies still for so long is not about to press anything. */
export const HELD_MS_MAX = 10_000;
