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

/** Why a form was not taken. `fieldOf` says in which of its fields a part of the body is typed. */
export function problemsIn(
  error: unknown,
  fields: readonly string[],
  fieldOf: (pointer: string) => string = partOf,
): Problems {
  const { errors = [], detail } = asProblem(error);
  const problems: Problems = {};
  const others: string[] = [];
  for (const { pointer, message } of errors) {
    const field = fieldOf(pointer);
    if (fields.includes(field)) problems[field] = problems[field] ? `${problems[field]} ${message}` : message;
    else others.push(`${pointer.slice(1)}: ${message}`);
  }
  if (others.length > 0 || errors.length === 0) problems[''] = others.join(' ') || detail;
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
