/**
 * Markdown that is still being written: tells blocks that are finished, and will never change, from the
 * last one, so that only that one is parsed and built again when text arrives.
 */
import { Lexer, type Links, type Token, type Tokens } from 'marked';

export interface Blocks {
  /** Blocks that became finished since the last call. */
  finished: Token[];
  /** The block at the end that may still change. */
  open: Token[];
}

export class MarkdownStream {
  #text = '';
  #finishedLength = 0;
  #links: Links = {};

  /** Take the whole text so far. `isOver` says that no more will come. */
  update(text: string, isOver: boolean): Blocks | null {
    const source = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text;
    if (!source.startsWith(this.#text)) return null; // another text: begin with a new stream
    this.#text = source;
    const rest = source.slice(this.#finishedLength);
    const tokens = this.#lex(isOver ? rest : withoutUndecidedLine(rest));
    const openFrom = isOver ? tokens.length : lastBlock(tokens);
    const finished = tokens.slice(0, openFrom);
    this.#finishedLength += finished.reduce((length, token) => length + token.raw.length, 0);
    return { finished, open: tokens.slice(openFrom) };
  }

  /** Link definitions of finished blocks hold for later ones. */
  #lex(source: string): Token[] {
    const lexer = new Lexer({ gfm: true });
    Object.assign(lexer.tokens.links, this.#links);
    const tokens = lexer.lex(source);
    this.#links = tokens.links;
    return [...tokens];
  }
}

/** A list or a table grows until something else follows; blank lines after it decide nothing. */
function lastBlock(tokens: Token[]): number {
  let index = tokens.length;
  while (index > 0 && tokens[index - 1]?.type === 'space') index--;
  return Math.max(0, index - 1);
}

/** The start of a list item looks like the underline of a heading until its text comes. */
function withoutUndecidedLine(text: string): string {
  return text.replace(/\n {0,3}(?:-+|=+|[*+]|\d+\.?)$/, '');
}

/** The address to link to, or null for schemes that could run something or lead nowhere. */
export function safeAddress(href: string): string | null {
  try {
    const url = new URL(href);
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : null;
  } catch {
    return null; // relative: the agent's files are not ours
  }
}

export type { Token, Tokens };
