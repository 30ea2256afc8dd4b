/**
 * Terminal text to styled spans, as data: never HTML, so nothing printed can become markup.
 *
 * Understood are colours, attributes (SGR) and links to the web (OSC 8); every other escape sequence is dropped. A line that
 * was rewritten by carriage returns (a progress bar) shows its last state. Control characters that
 * would be invisible or turn the text around are replaced, one for one, by visible signs, so that a
 * column in the spans is the same column in `visibleText`.
 */

/** "" is the terminal's own colour, "0" to "15" the palette, "r,g,b" any other. */
export type Colour = string;

export interface Style {
  foreground: Colour;
  background: Colour;
  attributes: number;
}

export interface Span {
  text: string;
  style: Style;
  /** The text stands for a control character. */
  isControl: boolean;
  /** The web address that the program made of it (OSC 8), or "". */
  link: string;
}

export const BOLD = 1;
export const DIM = 2;
export const ITALIC = 4;
export const UNDERLINE = 8;
export const INVERSE = 16;
export const HIDDEN = 32;
export const STRIKE = 64;

export const PLAIN: Style = Object.freeze({ foreground: '', background: '', attributes: 0 });

// ECMA-48: CSI … final byte; OSC, DCS, SOS, PM and APC strings up to BEL or ST; nF and two-byte
// escapes. A sequence that was cut by the end of the line is dropped as well.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
const ESCAPES = /\x1b(?:\[([0-?]*)[ -/]*([@-~])?|[\]PX^_]([^\x07\x1b\n]*)(?:\x07|\x1b\\)?|[ -/]*[0-~]?)/g;
// C0 without tab, DEL, C1, line and paragraph separator, and the bidirectional controls (as in CVE-2021-42574).
// biome-ignore lint/suspicious/noControlCharactersInRegex: the same
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the same
const SPECIAL = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

export function isPlain(style: Style): boolean {
  return style.foreground === '' && style.background === '' && style.attributes === 0;
}

/** The style a line leaves switched on for the next one. */
export function styleAfter(line: string, before: Style): Style {
  let style = before;
  for (const [, parameters, final] of line.matchAll(ESCAPES)) {
    if (final === 'm') style = applySgr(parameters ?? '', style);
  }
  return style;
}

/** What is to be seen of a line: escapes dropped, progress bars in their last state, control characters kept. */
export function visibleText(line: string): string {
  if (!SPECIAL.test(line)) return line;
  return lastState(line).text.replace(ESCAPES, '');
}

/** Text of any number of lines without escapes; what progress bars overwrote is still in it. */
export function withoutEscapes(text: string): string {
  return text.includes('\x1b') ? text.replace(ESCAPES, '') : text;
}

/** A line as spans. `before` is the style that earlier lines left switched on. */
export function spansOf(line: string, before: Style = PLAIN): Span[] {
  if (!SPECIAL.test(line)) return line === '' ? [] : [{ text: line, style: before, isControl: false, link: '' }];
  const { text, skipped } = lastState(line);
  let style = skipped === '' ? before : styleAfter(skipped, before);
  const spans: Span[] = [];
  let at = 0;
  let link = '';
  for (const match of text.matchAll(ESCAPES)) {
    pushText(spans, text.slice(at, match.index), style, link);
    if (match[2] === 'm') style = applySgr(match[1] ?? '', style);
    else if (match[3]?.startsWith('8;') && match[0][1] === ']') link = linkOf(match[3]);
    at = match.index + match[0].length;
  }
  pushText(spans, text.slice(at), style, link);
  return spans;
}

/** Where `8;parameters;address` leads. Only the web: any other scheme could start something on the reader's machine. */
function linkOf(command: string): string {
  const address = command.slice(command.indexOf(';', 2) + 1);
  if (!/^https?:\/\//i.test(address) || command.indexOf(';', 2) < 0) return '';
  try {
    return new URL(address).href;
  } catch {
    return '';
  }
}

/** A name for a control character as shown, for people who point at it. */
export function controlName(sign: string): string {
  const code = sign.codePointAt(0) ?? 0;
  if (code >= 0x2400 && code <= 0x241f) return `control character 0x${(code - 0x2400).toString(16).padStart(2, '0')}`;
  if (sign === DELETE_SIGN) return 'control character 0x7f';
  return sign === DIRECTION_SIGN ? 'invisible character that changes the direction of text' : 'control character';
}

/** A carriage return starts the line anew; what it overwrote is not shown, but its colours count. */
function lastState(line: string): { text: string; skipped: string } {
  let end = line.length;
  while (end > 0 && line.charCodeAt(end - 1) === 13) end--;
  const start = line.lastIndexOf('\r', end - 1) + 1;
  return end === 0 ? { text: '', skipped: line } : { text: line.slice(start, end), skipped: line.slice(0, start) };
}

function pushText(spans: Span[], text: string, style: Style, link: string): void {
  let at = 0;
  for (const match of text.matchAll(CONTROLS)) {
    if (match.index > at) spans.push({ text: text.slice(at, match.index), style, isControl: false, link });
    spans.push({ text: signFor(match[0]), style, isControl: true, link });
    at = match.index + 1;
  }
  if (at < text.length) spans.push({ text: text.slice(at), style, isControl: false, link });
}

const DELETE_SIGN = '\u2421';
const DIRECTION_SIGN = '\u21c6';
const OTHER_SIGN = '\u2426';

function signFor(control: string): string {
  const code = control.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return DELETE_SIGN;
  return code === 0x61c || (code >= 0x200e && code !== 0x2028 && code !== 0x2029) ? DIRECTION_SIGN : OTHER_SIGN;
}

const SWITCHED_ON: Record<number, number> = {
  1: BOLD,
  2: DIM,
  3: ITALIC,
  4: UNDERLINE,
  7: INVERSE,
  8: HIDDEN,
  9: STRIKE,
  21: UNDERLINE,
};
const SWITCHED_OFF: Record<number, number> = {
  22: BOLD | DIM,
  23: ITALIC,
  24: UNDERLINE,
  27: INVERSE,
  28: HIDDEN,
  29: STRIKE,
};

function applySgr(parameters: string, before: Style): Style {
  if (parameters === '' || parameters === '0') return PLAIN;
  let { foreground, background, attributes } = before;
  const codes = parameters.split(';');
  for (let i = 0; i < codes.length; i++) {
    const [code = 0, ...subs] = (codes[i] as string).split(':').map(Number);
    if (code === 0) {
      foreground = background = '';
      attributes = 0;
    } else if (code === 4 && subs[0] === 0) attributes &= ~UNDERLINE;
    else if (SWITCHED_ON[code]) attributes |= SWITCHED_ON[code];
    else if (SWITCHED_OFF[code]) attributes &= ~SWITCHED_OFF[code];
    else if (code >= 30 && code <= 37) foreground = `${code - 30}`;
    else if (code >= 90 && code <= 97) foreground = `${code - 82}`;
    else if (code === 39) foreground = '';
    else if (code >= 40 && code <= 47) background = `${code - 40}`;
    else if (code >= 100 && code <= 107) background = `${code - 92}`;
    else if (code === 49) background = '';
    else if (code === 38 || code === 48) {
      const given = subs.length > 0 ? withoutColourSpace(subs) : codes.slice(i + 1, i + 5).map(Number);
      const colour = extendedColour(given);
      if (subs.length === 0) i += given[0] === 5 ? 2 : given[0] === 2 ? 4 : 0;
      if (colour === null) continue;
      if (code === 38) foreground = colour;
      else background = colour;
    }
  }
  return { foreground, background, attributes };
}

/** ITU T.416 writes 2:<colour space>:r:g:b; many programs leave the colour space out. */
function withoutColourSpace(subs: number[]): number[] {
  return subs[0] === 2 && subs.length >= 5 ? [2, ...subs.slice(2)] : subs;
}

function extendedColour([kind, a, b, c]: number[]): Colour | null {
  const isByte = (value: number | undefined): value is number => value !== undefined && value >= 0 && value <= 255;
  if (kind === 2) return isByte(a) && isByte(b) && isByte(c) ? `${a},${b},${c}` : null;
  if (kind !== 5 || !isByte(a)) return null;
  if (a < 16) return `${a}`;
  if (a > 231) {
    const grey = (a - 232) * 10 + 8;
    return `${grey},${grey},${grey}`;
  }
  const level = (value: number) => (value === 0 ? 0 : value * 40 + 55); // xterm's 6×6×6 cube
  const index = a - 16;
  return `${level(Math.floor(index / 36))},${level(Math.floor(index / 6) % 6)},${level(index % 6)}`;
}
