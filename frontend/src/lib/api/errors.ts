// Errors as people read them: a problem from the server, or the same shape made here when no answer came.
import type { Problem } from './types';

export class ProblemError extends Error {
  readonly problem: Problem;
  /** Seconds to wait before trying again, where the server said so. */
  readonly retryAfter: number | null;

  constructor(problem: Problem, retryAfter: number | null = null) {
    super(problem.detail || problem.title);
    this.name = 'ProblemError';
    this.problem = problem;
    this.retryAfter = retryAfter;
  }

  get code(): string {
    return this.problem.code;
  }
}

export function asProblem(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem;
  if (error instanceof DOMException && error.name === 'AbortError') {
    return { title: 'Stopped', status: 0, code: 'aborted', detail: 'The request was stopped.' };
  }
  return {
    title: 'Something went wrong here',
    status: 0,
    code: 'client_error',
    detail: error instanceof Error ? error.message : String(error),
  };
}

/** What is wrong with a form: by JSON pointer of its fields, and at `''` what belongs to none of them. */
export type Problems = Record<string, string>;

/** The part of a body that a JSON pointer leads into: `/labels` for `/labels/2`. */
export const partOf = (pointer: string): string => pointer.split('/', 2).join('/');

/**
 * A whole sentence: what the server says of a field goes on where its name stops ("is empty"), unless it has a subject of
 * its own ("there is no such desktop"). What is a sentence already stays as it is.
 */
export function sentenceOf(name: string, message: string): string {
  const text = isPredicate(message) ? `${name} ${message}` : `${message.charAt(0).toUpperCase()}${message.slice(1)}`;
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

const isPredicate = (message: string): boolean => /^\p{Ll}/u.test(message) && !message.startsWith('there ');

const lastOf = (pointer: string): string => pointer.slice(pointer.lastIndexOf('/') + 1);

/** What a part of a body is called: `Private key` for `/ssh/auth/privateKey`, `Entry 3` for `/labels/2`. */
function nameOf(pointer: string): string {
  const last = lastOf(pointer);
  if (/^\d+$/.test(last)) return `Entry ${Number(last) + 1}`;
  if (last === '' || last === 'url') return last.toUpperCase() || 'What was sent';
  const words = last.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}

/**
 * Why a form was not taken. `fieldOf` says in which of its fields a part of the body is typed. What is said of a field
 * itself has no subject yet: the field begins the sentence with its label.
 */
export function problemsIn(
  error: unknown,
  fields: readonly string[],
  fieldOf: (pointer: string) => string = partOf,
): Problems {
  const { errors = [], detail } = asProblem(error);
  const found = new Map<string, Set<string>>();
  for (const { pointer, message } of errors) {
    const at = fieldOf(pointer);
    const field = fields.includes(at) ? at : '';
    const isOfItself = field !== '' && lastOf(pointer) === lastOf(field);
    const words = isOfItself && isPredicate(message) ? message : sentenceOf(nameOf(pointer), message);
    found.set(field, (found.get(field) ?? new Set()).add(words));
  }
  if (found.size === 0) return { '': detail };
  const problems: Problems = {};
  for (const [field, words] of found) {
    const ownWords = [...words].filter(isPredicate).join(', and ');
    const sentences = [...words].filter((one) => !isPredicate(one));
    problems[field] = [...(ownWords ? [`${ownWords}.`] : []), ...sentences].join(' ');
  }
  return problems;
}

export const unreachable = (): Problem => ({
  title: 'No answer',
  status: 0,
  code: 'unreachable',
  detail:
    'The server did not answer. Nothing was changed as far as this page knows; try again when the connection is back.',
});

/** A problem from an answer that may not be one: a proxy's HTML page, an empty body. */
export async function problemFrom(response: Response): Promise<Problem> {
  const type = response.headers.get('content-type') ?? '';
  if (type.includes('json')) {
    try {
      const body = (await response.json()) as Partial<Problem>;
      if (typeof body.code === 'string') {
        return {
          ...body,
          title: body.title ?? body.code,
          status: body.status ?? response.status,
          code: body.code,
          detail: body.detail ?? body.title ?? '',
        };
      }
    } catch {
      // Fall through: the body said JSON and was not.
    }
  }
  return {
    title: `Answer ${response.status}`,
    status: response.status,
    code: response.status === 401 ? 'unauthorized' : 'unexpected_answer',
    detail: `Something between this page and Mission Control answered ${response.status} ${response.statusText}`.trim(),
  };
}
