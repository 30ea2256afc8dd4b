/** Where lines of a run come from: the API's views of recorded output, by line and by what is in them. */
import type { Client } from '../api/client';
import { PLAIN, styleAfter } from './ansi';
import { type LinesAnswer, NO_STYLES, type Stream, type Styles, streamOf, type WireLine } from './pages';

export interface FindQuery {
  text: string;
  isRegex: boolean;
  matchCase: boolean;
  /** Of one stream only. */
  stream: Stream | null;
}

export interface FindAnswer {
  /** Lines that match between the asked line and `scannedTo`. */
  total: number;
  /** The first of them, ascending. */
  lines: number[];
  scannedTo: number;
  /** Everything recorded so far was looked at. */
  complete: boolean;
}

export interface OutputSource {
  /** The last lines. */
  tail(count: number, signal: AbortSignal): Promise<LinesAnswer>;
  /** Lines from a number on; fewer than asked at the end, and where they are long. */
  lines(from: number, count: number, signal: AbortSignal): Promise<LinesAnswer>;
  /** Lines that match from a number on. */
  find(query: FindQuery, from: number, limit: number, signal: AbortSignal): Promise<FindAnswer>;
}

export class ApiSource implements OutputSource {
  readonly #api: Client;
  readonly #path: string;
  /** Named once it is known, so that the browser keeps pages that cannot change. */
  #logId: string | null = null;

  constructor(api: Client, taskId: string) {
    this.#api = api;
    this.#path = `/tasks/${taskId}/output`;
  }

  tail(count: number, signal: AbortSignal): Promise<LinesAnswer> {
    return this.#lines(`?tail=${count}`, signal);
  }

  lines(from: number, count: number, signal: AbortSignal): Promise<LinesAnswer> {
    const log = this.#logId === null ? '' : `&log=${encodeURIComponent(this.#logId)}`;
    return this.#lines(`?from=${from}&count=${count}${log}`, signal);
  }

  async find(query: FindQuery, from: number, limit: number, signal: AbortSignal): Promise<FindAnswer> {
    const { data } = await this.#api.get<FindAnswer>(
      `${this.#path}/find`,
      {
        q: query.text,
        regex: query.isRegex,
        case: query.matchCase,
        stream: query.stream ?? 'all',
        from,
        limit,
      },
      { signal },
    );
    return data;
  }

  async #lines(query: string, signal: AbortSignal): Promise<LinesAnswer> {
    const response = await this.#api.send('GET', `${this.#path}/lines${query}`, undefined, {
      signal,
      headers: { accept: 'application/x-ndjson, application/problem+json' },
    });
    this.#logId = response.headers.get('mission-control-log');
    return linesAnswer(await response.text(), response.headers);
  }
}

export function linesAnswer(body: string, headers: Headers): LinesAnswer {
  return {
    from: Number(headers.get('mission-control-from') ?? 0),
    lines: JSON.parse(`[${body.trimEnd().replaceAll('\n', ',')}]`) as WireLine[], // JSON has no other line ends
    total: Number(headers.get('mission-control-lines') ?? 0),
    styles: stylesOf(headers.get('mission-control-style') ?? ''),
    isRemoved: headers.get('mission-control-removed') === 'true',
  };
}

/** `o=1;31, e=, r=` */
export function stylesOf(text: string): Styles {
  const styles = { ...NO_STYLES };
  for (const part of text.split(',')) {
    const [letter = '', parameters = ''] = part.trim().split('=');
    if (parameters) styles[streamOf(letter)] = styleAfter(`\x1b[${parameters}m`, PLAIN);
  }
  return styles;
}
