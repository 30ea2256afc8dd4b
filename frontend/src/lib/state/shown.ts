// Which running tasks are on the screen: only for those the server sends newest lines, so that a page costs what is
// seen of it and not what runs.

/** A card that scrolls past is not worth a message. */
const SETTLED_MS = 120;
/** The server takes no more; nobody sees so many cards. */
const SHOWN_MAX = 500;

export class ShownTasks {
  #ids = new Map<Element, string>();
  #visible = new Set<Element>();
  #observer: IntersectionObserver | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #told = '';
  readonly #tell: (taskIds: string[]) => void;

  /** `tell` is given the ids whenever they have changed. */
  constructor(tell: (taskIds: string[]) => void) {
    this.#tell = tell;
  }

  /** Follows whether a task's element is in sight, until the answered function is called. */
  watch(element: Element, taskId: string): () => void {
    this.#observer ??= new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) this.#visible.add(target);
        else this.#visible.delete(target);
      }
      this.#soon();
    });
    this.#ids.set(element, taskId);
    this.#observer.observe(element);
    return () => {
      this.#observer?.unobserve(element);
      this.#ids.delete(element);
      if (this.#visible.delete(element)) this.#soon();
    };
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const ids = [...this.#visible].flatMap((element) => this.#ids.get(element) ?? []);
      const shown = [...new Set(ids)].sort().slice(0, SHOWN_MAX);
      const told = shown.join();
      if (told === this.#told) return;
      this.#told = told;
      this.#tell(shown);
    }, SETTLED_MS);
  }
}
