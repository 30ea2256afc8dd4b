/**
 * Marks over text without touching its elements (CSS Custom Highlight API), shared by all output views
 * of a page: each view takes back its own ranges.
 */
import rules from './highlights.css?inline';

export type MarkKind = 'selection' | 'match' | 'current';

const PRIORITY: Record<MarkKind, number> = { match: 1, current: 2, selection: 3 };
const isSupported = typeof CSS !== 'undefined' && 'highlights' in CSS;

function shared(kind: MarkKind): Highlight | null {
  if (!isSupported) return null;
  const name = `output-${kind}`;
  let highlight = CSS.highlights.get(name);
  if (!highlight) {
    if (CSS.highlights.size === 0) styleMarks();
    highlight = new Highlight();
    highlight.priority = PRIORITY[kind];
    CSS.highlights.set(name, highlight);
  }
  return highlight;
}

/** Rules for marks cost each row that is written a style for every kind: they come with the first mark. */
function styleMarks(): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(rules);
  document.adoptedStyleSheets.push(sheet);
}

export class Marks {
  #own: [MarkKind, Range][] = [];

  /** Replace this view's marks. */
  set(marks: [MarkKind, Range][]): void {
    if (this.#own.length === 0 && marks.length === 0) return;
    for (const [kind, range] of this.#own) shared(kind)?.delete(range);
    for (const [kind, range] of marks) shared(kind)?.add(range);
    this.#own = marks;
  }

  clear(): void {
    this.set([]);
  }
}
