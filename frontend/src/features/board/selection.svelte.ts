// Which cards are selected.
import { SvelteSet } from 'svelte/reactivity';

export class Selection {
  #ids = new SvelteSet<string>();
  #anchor: string | null = null;

  get size(): number {
    return this.#ids.size;
  }

  get ids(): ReadonlySet<string> {
    return this.#ids;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  toggle(id: string): void {
    if (!this.#ids.delete(id)) this.#ids.add(id);
    this.#anchor = id;
  }

  /** From the card that was touched last to this one, in the order of its column. */
  extendTo(id: string, column: readonly string[]): void {
    const to = column.indexOf(id);
    const from = this.#anchor === null ? to : column.indexOf(this.#anchor);
    if (from < 0 || to < 0) this.toggle(id);
    else for (const between of column.slice(Math.min(from, to), Math.max(from, to) + 1)) this.#ids.add(between);
  }

  clear(): void {
    this.#ids.clear();
    this.#anchor = null;
  }
}
