// A form that is sent: whether it is on its way, and what is wrong with it, at the field that it belongs to.
import { type Problems, partOf, problemsIn } from '../api/errors';

export class Form {
  isBusy = $state(false);
  problems = $state<Problems>({});
  readonly #fields: readonly string[];
  readonly #fieldOf: (pointer: string) => string;

  /** `fields` are those that can show a problem, by JSON pointer; `fieldOf` says in which one a part of the body is typed. */
  constructor(fields: readonly string[], fieldOf: (pointer: string) => string = partOf) {
    this.#fields = fields;
    this.#fieldOf = fieldOf;
  }

  /** Send it, unless it is on its way or something was found wrong before. Whether it was taken. */
  async send(work: () => Promise<unknown>, found: Problems = {}): Promise<boolean> {
    if (this.isBusy) return false;
    this.problems = found;
    if (Object.keys(found).length > 0) return false;
    this.isBusy = true;
    try {
      await work();
      return true;
    } catch (error) {
      this.problems = problemsIn(error, this.#fields, this.#fieldOf);
      return false;
    } finally {
      this.isBusy = false;
    }
  }
}
