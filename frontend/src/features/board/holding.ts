// A column while the pointer is on one of its cards: nothing moves under it. What comes in waits, what has left leaves
// its place empty, until the pointer goes away. Pure.

export interface Held<T> {
  /** What is shown, in the order in which it was seen; the very same objects, so that nothing is drawn anew. */
  tasks: readonly T[];
  /** Those of them that are in another column by now. */
  gone: ReadonlySet<T>;
  /** How many came in meanwhile and are not shown yet. */
  waiting: number;
}

/** The column as it was when it was held, with what was loaded below it since. */
export function held<T>(before: readonly T[], now: readonly T[]): Held<T> {
  const here = new Set(now);
  const was = new Set(before);
  const gone = new Set(before.filter((task) => !here.has(task)));
  const below = now.findLastIndex((task) => was.has(task)) + 1;
  // Without a card that stayed there is no below: all of them are new.
  const older = below > 0 ? now.slice(below) : [];
  const waiting = now.length - older.length - (before.length - gone.size);
  return { tasks: [...before, ...older], gone, waiting };
}

/** A column that nobody points at. */
export const free = <T>(now: readonly T[]): Held<T> => ({ tasks: now, gone: new Set(), waiting: 0 });

/** A pointer that lies still for so long is not about to press anything. */
export const HELD_MS_MAX = 10_000;
