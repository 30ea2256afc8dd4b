// One clock for everything that ticks on the screen. It runs only while something reads it, once a second.
import { createSubscriber } from 'svelte/reactivity';

class Clock {
  #now = Date.now();
  #subscribe = createSubscriber((update) => {
    this.#now = Date.now();
    const timer = setInterval(() => {
      this.#now = Date.now();
      update();
    }, 1000);
    return () => clearInterval(timer);
  });

  /** Milliseconds since 1970, fresh to the second where something follows it. */
  get now(): number {
    this.#subscribe();
    return this.#now;
  }
}

export const clock = new Clock();
