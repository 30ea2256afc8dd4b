/**
 * Which blocks of a long transcript are drawn: those near what is looked at. What is above and below is empty space as
 * high as its blocks are, so that the scroll bar is that of the whole. Heights are measured once a block is drawn, and
 * guessed before.
 */
export interface Drawn {
  /** The first block that is drawn. */
  from: number;
  /** The one after the last. */
  end: number;
  /** Pixels of the blocks before them, and after. */
  above: number;
  below: number;
}

/** Drawn above and below what is in view. */
export const MARGIN_PX = 600;
/** What is drawn is good enough while it reaches so far. */
export const REACH_PX = 250;

export class Heights {
  readonly #measured: number[] = [];
  readonly #guess: (block: number) => number;

  constructor(guess: (block: number) => number) {
    this.#guess = guess;
  }

  measured(block: number, height: number): void {
    this.#measured[block] = height;
  }

  /** The height of blocks together. */
  between(from: number, end: number): number {
    let sum = 0;
    for (let block = from; block < end; block++) sum += this.#of(block);
    return sum;
  }

  /** The last blocks of `count`. */
  last(blocks: number, count: number): Drawn {
    const from = Math.max(0, count - blocks);
    return { from, end: count, above: this.between(0, from), below: 0 };
  }

  /** Those of `count` blocks from `top` to `bottom` and for a margin around, in pixels; `drawn` while it will do. */
  near(top: number, bottom: number, count: number, drawn: Drawn, margin = MARGIN_PX): Drawn {
    const { from, end, above } = drawn;
    const drawnTo = above + this.between(from, Math.min(end, count));
    const reach = Math.min(REACH_PX, margin);
    const reachesUp = from === 0 || above <= top - reach;
    const reachesDown = end === count || (end < count && drawnTo >= bottom + reach);
    if (reachesUp && reachesDown) return { ...drawn, below: this.between(end, count) };
    let first = 0;
    let y = 0;
    for (; first < count - 1; first++) {
      const height = this.#of(first);
      if (y + height > top - margin) break;
      y += height;
    }
    let next = first;
    for (let at = y; next < count && at < bottom + margin; next++) at += this.#of(next);
    return { from: first, end: next, above: y, below: this.between(next, count) };
  }

  #of(block: number): number {
    return this.#measured[block] ?? this.#guess(block);
  }
}
