// The one way to the REST API. Every call either gives the answer or throws a ProblemError; nothing is retried in
// silence. Paths without /api are below /api/mission-control,
// but for the API's description.
import { forgetEarly, takeEarly } from './early';
import { ProblemError, problemFrom, unreachable } from './errors';
import type { Problem } from './types';

export interface Answer<T> {
  data: T;
  /** The log position that the answer shows: subscribe after it. Null where the answer shows no state. */
  seq: number | null;
  logId: string | null;
  /** How many there are in all, for lists. */
  total: number | null;
  headers: Headers;
}

export interface CallOptions {
  signal?: AbortSignal;
  headers?: Record<string, string>;
  /** One key per intention: the same key sent twice starts the thing once. Made for every POST when left out. */
  idempotencyKey?: string;
}

export type Query = Record<string, string | number | boolean | null | undefined>;

export function apiPath(path: string, query: Query = {}): string {
  const base = path.startsWith('/api/') || path === '/openapi.json' ? path : `/api/mission-control${path}`;
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') params.set(name, String(value));
  }
  const text = params.toString();
  return text ? `${base}?${text}` : base;
}

/** A random name for one intention. `crypto.randomUUID` is missing on plain http except on loopback. */
export function newIdempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export class Client {
  /** Told of every answer 401, so that the page can ask to sign in again. */
  onUnauthorized: (problem: Problem) => void = () => {};
  /** Told what an answer says of the server's clock, and when the request left and was answered (ms, browser's clock). */
  onDate: (date: string | null, sentAt: number, answeredAt: number) => void = () => {};

  async send(method: string, path: string, body?: unknown, options: CallOptions = {}): Promise<Response> {
    const headers: Record<string, string> = {
      accept: 'application/json, application/problem+json',
      ...options.headers,
    };
    const init: RequestInit = { method, headers, credentials: 'same-origin', signal: options.signal };
    if (body !== undefined) {
      headers['content-type'] = 'application/json';
      init.body = JSON.stringify(body);
    }
    if (method === 'POST') headers['idempotency-key'] = options.idempotencyKey ?? newIdempotencyKey();
    if (method !== 'GET') forgetEarly();
    const early = method === 'GET' ? takeEarly(apiPath(path)) : null;
    let response: Response;
    const sentAt = early?.sentAt ?? Date.now();
    try {
      response = await (early?.response ?? fetch(apiPath(path), init));
      this.onDate(response.headers.get('date'), sentAt, Date.now());
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new ProblemError(unreachable());
    }
    if (response.ok) return response;
    const problem = await problemFrom(response);
    if (response.status === 401) this.onUnauthorized(problem);
    throw new ProblemError(problem, Number(response.headers.get('retry-after')) || null);
  }

  async call<T>(method: string, path: string, body?: unknown, options?: CallOptions): Promise<Answer<T>> {
    const response = await this.send(method, path, body, options);
    const number = (name: string) => {
      const value = response.headers.get(name);
      return value === null ? null : Number(value);
    };
    const text = await response.text();
    return {
      data: (text ? JSON.parse(text) : undefined) as T,
      seq: number('mission-control-seq'),
      logId: response.headers.get('mission-control-log'),
      total: number('mission-control-total'),
      headers: response.headers,
    };
  }

  get<T>(path: string, query: Query = {}, options?: CallOptions): Promise<Answer<T>> {
    return this.call<T>('GET', apiPath(path, query), undefined, options);
  }

  post<T>(path: string, body?: unknown, options?: CallOptions): Promise<Answer<T>> {
    return this.call<T>('POST', path, body, options);
  }

  patch<T>(path: string, body: unknown, options?: CallOptions): Promise<Answer<T>> {
    return this.call<T>('PATCH', path, body, options);
  }

  delete(path: string, options?: CallOptions): Promise<Answer<void>> {
    return this.call<void>('DELETE', path, undefined, options);
  }
}

export const api = new Client();
