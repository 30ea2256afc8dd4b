// One clock for everything that ticks on the screen. It runs only while something reads it, once a second. It shows the
// server's time: ages are right also where the browser's clock is a day off.
import { createSubscriber } from 'svelte/reactivity';

/** Clocks that differ by less agree: a header's second, and the way here, say no more. */
const DIFFERENCE_MS_MIN = 3_000;

/** How far the server's clock is ahead of the browser's, by an answer's Date header; 0 where they agree. */
export function differenceMs(date: string | null, sentAt: number, answeredAt: number): number | null {
  const at = date ? Date.parse(date) : Number.NaN;
  if (Number.isNaN(at)) return null;
  // The header counts whole seconds; on average half of one has passed.
  const difference = at + 500 - (sentAt + answeredAt) / 2;
  return Math.abs(difference) < DIFFERENCE_MS_MIN + (answeredAt - sentAt) / 2 ? 0 : Math.round(difference);
}

class Clock {
  #difference = 0;
  #now = Date.now();
  #update: () => void = () => {};
  #subscribe = createSubscriber((update) => {
    this.#update = update;
    this.#now = this.exact;
    const timer = setInterval(() => {
      this.#now = this.exact;
      update();
    }, 1000);
    return () => clearInterval(timer);
  });

  /** Milliseconds since 1970, fresh to the second where something follows it. */
  get now(): number {
    this.#subscribe();
    return this.#now;
  }

  /** The same to the millisecond, for notes of when something happened. */
  get exact(): number {
    return this.of(Date.now());
  }

  /** A moment of the browser's clock as the server would tell it. */
  of(browserMs: number): number {
    return browserMs + this.#difference;
  }

  /** Told of every answer of the server. */
  hear(date: string | null, sentAt: number, answeredAt: number): void {
    const difference = differenceMs(date, sentAt, answeredAt);
    if (difference === null || Math.abs(difference - this.#difference) < DIFFERENCE_MS_MIN) return;
    this.#difference = difference;
    this.#now = this.exact;
    this.#update();
  }
}

export const clock = new Clock();
