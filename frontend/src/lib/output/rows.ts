/**
 * The rows on the screen: a small pool of elements, each written again only when what it shows changed.
 *
 * Everything printed goes in as text nodes. Colours are classes of the palette, or set through the
 * DOM where a program chose its own.
 */
import * as ansi from './ansi';
import { contrast, legible, luminance, type Rgb } from './contrast';
import { goesOn, type HeldLine, type OutputPages } from './pages';

/** Longer lines are cut on the screen: laying out one line of megabytes stops a browser for seconds. */
export const SHOWN_CHARACTERS_MAX = 20_000;

export interface Row {
  element: HTMLDivElement;
  number: HTMLAnchorElement;
  time: HTMLSpanElement;
  text: HTMLSpanElement;
  /** The line it shows, -1 while it is unused. */
  line: number;
  /** What it shows of it; null for a line that is not here yet. */
  held: HeldLine | null;
  looks: Looks | null;
  /** Characters of the visible text that are shown. */
  length: number;
  /** Where it stands in the box, in pixels. */
  y: number;
}

/** What the rows show besides the lines themselves. A new object means that every row is written again. */
export interface Looks {
  /** Text of the time column, or null for none. */
  timeOf: ((ms: number) => string) | null;
  /** Lines that are shown whole although they are long. */
  expanded: ReadonlySet<number>;
  /** Characters of the longest line number. */
  digits: number;
  /** Luminance of the surface that free colours have to stand out from. */
  surface: number;
  /** What is said of bytes that are missing right before a line, or null. */
  lossBefore: (line: number) => string | null;
}

export interface Marked {
  from: number;
  to: number;
}

export class Rows {
  readonly #box: HTMLElement;
  readonly #pages: OutputPages;
  #pool: Row[] = [];
  #looks: Looks;
  /** The widest row painted so far, in characters. */
  widest = 0;

  constructor(box: HTMLElement, pages: OutputPages, looks: Looks) {
    this.#box = box;
    this.#pages = pages;
    this.#looks = looks;
    // Where a number leads is said when somebody points at it: for each line that passes it would be work for nobody.
    const lead = ({ target }: Event) => {
      const row = this.rowOf(target as Node);
      if (row && row.number === target) row.number.href = `#L${row.line + 1}`;
    };
    box.addEventListener('pointerover', lead);
    box.addEventListener('pointerdown', lead);
  }

  setLooks(looks: Looks): void {
    this.#looks = looks;
  }

  /** Show these lines. `first` is the row number of the first one, so that scrolling rewrites only what came into view. */
  paint(first: number, lines: readonly number[], marked: Marked | null): Row[] {
    this.#fit(lines.length);
    const shown: Row[] = [];
    const size = this.#pool.length;
    let before = -1;
    let heldBefore: HeldLine | null = null;
    for (let index = 0; index < size; index++) {
      const row = this.#pool[(first + index) % size] as Row;
      const line = lines[index];
      if (line === undefined) {
        if (row.line !== -1) {
          row.line = -1;
          row.element.hidden = true;
        }
        continue;
      }
      const held = this.#pages.at(line) ?? null;
      this.#write(row, line, held);
      const { classList } = row.element;
      classList.toggle('is-marked', marked !== null && line >= marked.from && line <= marked.to);
      classList.toggle('is-after-break', index > 0 && line !== before + 1);
      if (index === 0 || line !== before + 1) heldBefore = this.#pages.at(line - 1) ?? null;
      classList.toggle('is-part', goesOn(heldBefore, held) && this.#looks.lossBefore(line) === null);
      before = line;
      heldBefore = held;
      shown.push(row);
    }
    return shown;
  }

  rowOf(node: Node | null): Row | undefined {
    const element = node instanceof Element ? node : node?.parentElement;
    const root = element?.closest('.output-row');
    return root ? this.#pool.find((row) => row.element === root) : undefined;
  }

  #fit(count: number): void {
    const wanted = count + 2;
    if (this.#pool.length >= wanted && this.#pool.length <= wanted * 3) return;
    while (this.#pool.length < wanted) this.#pool.push(this.#create());
    while (this.#pool.length > wanted) this.#pool.pop()?.element.remove();
    // Another size gives every row another place in the pool.
    for (const row of this.#pool) {
      row.line = -1;
      row.element.hidden = true;
    }
  }

  #create(): Row {
    const element = document.createElement('div');
    const number = document.createElement('a');
    const time = document.createElement('span');
    const text = document.createElement('span');
    element.className = 'output-row';
    number.className = 'output-number';
    number.tabIndex = -1; // a million links in the way of Tab would help nobody
    number.draggable = false;
    number.href = '#';
    time.className = 'output-time';
    text.className = 'output-text';
    element.hidden = true;
    element.append(number, time, text);
    this.#box.append(element);
    return { element, number, time, text, line: -1, held: null, looks: null, length: 0, y: 0 };
  }

  #write(row: Row, line: number, held: HeldLine | null): void {
    const isSame = row.line === line && row.looks === this.#looks && isSameText(row.held, held);
    if (isSame) return;
    const { timeOf, expanded, lossBefore, digits } = this.#looks;
    if (row.line !== line || row.looks !== this.#looks) {
      setText(row.number, `${line + 1}`.padStart(digits));
      const loss = lossBefore(line) ?? '';
      row.element.classList.toggle('is-after-loss', loss !== '');
      if (row.number.title !== loss) row.number.title = loss;
      show(row.element, true);
      show(row.time, timeOf !== null);
    }
    row.line = line;
    row.looks = this.#looks;
    row.held = held;
    const stream = held?.stream ?? '';
    if (row.element.dataset.stream !== stream) row.element.dataset.stream = stream;
    row.element.classList.toggle('is-missing', held === null);
    setText(row.time, timeOf === null || held === null ? '' : timeOf(held.ms));
    const limit = expanded.has(line) ? Number.POSITIVE_INFINITY : SHOWN_CHARACTERS_MAX;
    this.#writeText(row, held === null ? [] : ansi.spansOf(held.text, held.style), limit);
  }

  #writeText(row: Row, spans: ansi.Span[], limit: number): void {
    let node = row.text.firstChild;
    let total = 0;
    let tabs = 0;
    row.length = 0;
    for (const span of spans.length > 0 ? spans : NOTHING) {
      const room = limit - row.length;
      total += span.text.length;
      if (room <= 0) continue;
      const text = span.text.slice(0, room);
      row.length += text.length;
      tabs += countTabs(text);
      const shown = this.#nodeFor(span, text, node);
      if (node === null) row.text.append(shown);
      else if (shown !== node) node.replaceWith(shown);
      node = shown.nextSibling;
    }
    while (node !== null) {
      const next: ChildNode | null = node.nextSibling;
      node.remove();
      node = next;
    }
    if (total > row.length) row.text.append(moreButton(total - row.length));
    this.widest = Math.max(this.widest, row.length + 7 * tabs);
  }

  /** The node that was at its place, written again, or a new one: new ones for each row are work for the collector. */
  #nodeFor(span: ansi.Span, text: string, before: ChildNode | null): ChildNode {
    if (isBare(span)) {
      if (!(before instanceof Text)) return document.createTextNode(text);
      if (before.data !== text) before.data = text;
      return before;
    }
    if (span.link !== '') {
      const link = document.createElement('a');
      this.#writeSpan(link, span, text);
      leadTo(link, span.link);
      return link;
    }
    const element = before instanceof HTMLSpanElement ? before : document.createElement('span');
    this.#writeSpan(element, span, text);
    return element;
  }

  #writeSpan(element: HTMLElement, span: ansi.Span, text: string): void {
    setText(element, text);
    paintStyle(element, span, this.#looks.surface);
    const title = span.isControl ? ansi.controlName(text) : '';
    if (element.title !== title) element.title = title;
  }
}

/** An empty line keeps its text node. */
const NOTHING: ansi.Span[] = [{ text: '', style: ansi.PLAIN, isControl: false, link: '' }];

/** Change the text node that is there: thousands of new ones a second would be work for the collector. */
function setText(element: HTMLElement, text: string): void {
  const { firstChild, childNodes } = element;
  if (childNodes.length !== 1 || !(firstChild instanceof Text)) element.textContent = text;
  else if (firstChild.data !== text) firstChild.data = text;
}

/** To say again what is hidden would have the browser find its style again. */
function show(element: HTMLElement, isShown: boolean): void {
  if (element.hidden === isShown) element.hidden = !isShown;
}

function isBare(span: ansi.Span): boolean {
  return ansi.isPlain(span.style) && !span.isControl && span.link === '';
}

function isSameText(one: HeldLine | null, other: HeldLine | null): boolean {
  if (one === null || other === null) return one === other;
  return one.text === other.text && one.style === other.style && one.stream === other.stream && one.ms === other.ms;
}

/** The text of a link is the program's; where it really leads is in its title. */
function leadTo(element: HTMLAnchorElement, address: string): void {
  element.classList.add('output-link');
  element.href = address;
  element.target = '_blank';
  element.rel = 'noopener noreferrer nofollow';
  element.title = address;
  element.tabIndex = -1;
  element.draggable = false;
}

/** The text node and offset of a column of a row, for ranges. */
export function pointAt(row: Row, column: number): [Node, number] {
  const walker = document.createTreeWalker(row.text, NodeFilter.SHOW_TEXT);
  let rest = Math.min(column, row.length);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const length = (node as Text).length;
    if (rest <= length) return [node, rest];
    rest -= length;
  }
  return [row.text, 0];
}

function countTabs(text: string): number {
  return text.includes('\t') ? text.split('\t').length - 1 : 0;
}

function moreButton(characters: number): HTMLButtonElement {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'output-more';
  button.dataset.label = `${characters.toLocaleString('en-US')} more characters, show all`;
  button.ariaLabel = button.dataset.label; // drawn by ::before, so that it is no part of the row's text
  return button;
}

function paintStyle(element: HTMLElement, { style, isControl }: ansi.Span, surface: number): void {
  let { foreground, background } = style;
  const { attributes } = style;
  const names: string[] = [];
  if (attributes & ansi.INVERSE) {
    if (foreground === '' && background === '') names.push('is-inverse');
    else [foreground, background] = [background, foreground];
  }
  if (foreground !== '' && !foreground.includes(',')) names.push(`fg-${foreground}`);
  if (background !== '' && !background.includes(',')) names.push(`bg-${background}`);
  if (attributes & ansi.BOLD) names.push('is-bold');
  if (attributes & ansi.DIM) names.push('is-dim');
  if (attributes & ansi.ITALIC) names.push('is-italic');
  if (attributes & ansi.UNDERLINE) names.push('is-underlined');
  if (attributes & ansi.STRIKE) names.push('is-struck');
  if (attributes & ansi.HIDDEN) names.push('is-hidden');
  if (isControl) names.push('output-control');
  const className = names.join(' ');
  if (element.className !== className) element.className = className;
  if (element.hasAttribute('style')) element.removeAttribute('style');
  paintFreeColours(element, foreground, background, surface);
}

function paintFreeColours(element: HTMLElement, foreground: string, background: string, surface: number): void {
  let ground = surface;
  if (background.includes(',')) {
    const colour = rgb(background);
    ground = luminance(colour);
    element.style.backgroundColor = `rgb(${background})`;
    // Palette colours are made for our surfaces, not for this one.
    if (!foreground.includes(',')) element.style.color = contrast(ground, 1) >= contrast(ground, 0) ? '#fff' : '#000';
  }
  if (foreground.includes(',')) element.style.color = `rgb(${legibleOn(foreground, ground)})`;
}

function rgb(colour: string): Rgb {
  const [red = 0, green = 0, blue = 0] = colour.split(',').map(Number);
  return [red, green, blue];
}

const legibleColours = new Map<string, string>();

function legibleOn(colour: string, ground: number): string {
  const key = `${colour} ${ground}`;
  let answer = legibleColours.get(key);
  if (answer === undefined) {
    if (legibleColours.size > 4096) legibleColours.clear(); // a gradient can use millions
    answer = legible(rgb(colour), ground).join(',');
    legibleColours.set(key, answer);
  }
  return answer;
}
