/**
 * Where a long list of rows is scrolled to, without a DOM.
 *
 * Two coordinate spaces: the *content* (rows × row height, as long as it needs to be) and the
 * *scroll range* of a real element, which browsers cut off (Chromium at 33.5 M px, at 11.2 M px on a
 * 3× screen, Firefox near 17.9 M px). Up to 8 M px they are the same. Beyond, small moves are 1:1 and
 * large ones (the scroll bar's thumb) proportional; `scrollTop` then says where the thumb belongs.
 *
 * Following the end is a state. It is left only when somebody means it (`leaveEnd`, scrolling up,
 * going to a row), never because the content grew or shrank.
 */
export const SCROLL_RANGE_MAX_PX = 8_000_000;

/** Wrapped rows to be drawn, and what holds them in place: a share of one row's height stands at `y`. */
export interface WrappedPart {
  from: number;
  /** After the last one. */
  to: number;
  anchor: { row: number; share: number; y: number };
}

export class Viewport {
  rows = 0;
  height = 0;
  following = true;
  /** First visible pixel in content space. */
  top = 0;
  readonly rowHeight: number;
  readonly #rangeMax: number;
  /** The element's scroll position as last seen or set. */
  #scrollTop = 0;

  constructor(rowHeight: number, rangeMax: number = SCROLL_RANGE_MAX_PX) {
    this.rowHeight = rowHeight;
    this.#rangeMax = rangeMax;
  }

  get contentHeight(): number {
    return this.rows * this.rowHeight;
  }

  /** Height of the element that makes the scroll bar. */
  get rangeHeight(): number {
    return Math.max(this.height, Math.min(this.contentHeight, this.#rangeMax));
  }

  get topMax(): number {
    return Math.max(0, this.contentHeight - this.height);
  }

  get isScaled(): boolean {
    return this.contentHeight > this.#rangeMax;
  }

  get firstRow(): number {
    return Math.floor(this.top / this.rowHeight);
  }

  /** Rows that are at least partly visible. */
  get visibleRows(): number {
    return Math.min(this.rows - this.firstRow, Math.ceil(this.height / this.rowHeight) + 1);
  }

  /** Where the element's scroll position belongs. */
  get scrollTop(): number {
    const range = this.rangeHeight - this.height;
    return this.topMax === 0 ? 0 : Math.round((this.top / this.topMax) * range);
  }

  /** 0 until the last screen, 1 at the very end. */
  get lastScreenShare(): number {
    if (this.height === 0) return 1;
    return Math.max(0, Math.min(1, 1 - (this.topMax - this.top) / this.height));
  }

  setHeight(height: number): void {
    this.height = height;
    this.#keepInside();
  }

  setRows(rows: number): void {
    this.rows = rows;
    this.#keepInside();
  }

  /** Rows were taken away at the top; what is looked at stays where it is. */
  removeAbove(count: number): void {
    this.rows -= count;
    this.top -= count * this.rowHeight;
    this.#keepInside();
  }

  /** The element was scrolled by code to where it belongs; its scroll event is no move. */
  settled(scrollTop: number): void {
    this.#scrollTop = scrollTop;
  }

  /** The element reports its scroll position. Returns true when the thumb should be put in place soon. */
  scrolled(scrollTop: number): boolean {
    const move = scrollTop - this.#scrollTop;
    if (Math.abs(move) < 1) return false;
    this.#scrollTop = scrollTop;
    if (!this.isScaled) this.top = scrollTop;
    else if (Math.abs(move) < this.height * 2) this.top += move;
    else this.top = (scrollTop / (this.rangeHeight - this.height)) * this.topMax;
    this.top = Math.max(0, Math.min(this.topMax, this.top));
    if (move < 0) this.following = false;
    else if (this.top >= this.topMax - 2) this.following = true;
    return this.isScaled;
  }

  /** Move by pixels of content, as a key does. */
  moveBy(pixels: number): void {
    this.top = Math.max(0, Math.min(this.topMax, this.top + pixels));
    this.following = pixels > 0 && this.top >= this.topMax - 2;
  }

  /** Put a row at a share of the height: 0 is the top edge. */
  goTo(row: number, share = 0.3): void {
    this.following = false;
    this.top = Math.max(0, Math.min(this.topMax, row * this.rowHeight - Math.round(this.height * share)));
  }

  isVisible(row: number): boolean {
    const y = row * this.rowHeight - this.top;
    return y >= 0 && y + this.rowHeight <= this.height;
  }

  follow(): void {
    this.following = true;
    this.top = this.topMax;
  }

  leaveEnd(): void {
    this.following = false;
  }

  /**
   * Which wrapped rows are drawn, by about how high each is: those that can be seen and a screen more on
   * each side, since over the last screen the block may be many screens high.
   */
  wrappedPart(heightOf: (row: number) => number): WrappedPart {
    const first = this.firstRow;
    const share = this.lastScreenShare;
    const end = share > 0 ? this.rows : first + this.visibleRows;
    const anchor = { row: first, share: this.top / this.rowHeight - first, y: share * this.height };
    if (first >= end) return { from: first, to: first, anchor };
    if (share > 0) {
      // As in wrappedOffset: what is at a share of the block is at that share of the height.
      let block = 0;
      for (let row = first; row < end; row++) block += heightOf(row);
      let rest = share * block + (1 - share) * anchor.share * heightOf(first);
      while (anchor.row < end - 1 && rest > heightOf(anchor.row)) rest -= heightOf(anchor.row++);
      anchor.share = Math.min(1, rest / heightOf(anchor.row));
    }
    let from = anchor.row;
    let above = anchor.share * heightOf(from);
    while (from > first && above < anchor.y + this.height) above += heightOf(--from);
    let to = anchor.row + 1;
    let below = (1 - anchor.share) * heightOf(anchor.row);
    while (to < end && below < 2 * this.height - anchor.y) below += heightOf(to++);
    return { from, to, anchor };
  }

  /**
   * Where wrapped rows begin, in pixels from the top edge. Rows then have heights of their own, while
   * the scroll range still counts lines: the first row's hidden share is kept, and over the last screen
   * the block moves from top-aligned to bottom-aligned, so that both ends are exact.
   */
  wrappedOffset(firstRowHeight: number, blockHeight: number): number {
    const hiddenShare = this.top / this.rowHeight - this.firstRow;
    const fromTop = -hiddenShare * firstRowHeight;
    const share = this.lastScreenShare;
    if (share === 0 || blockHeight <= this.height) return share === 0 ? fromTop : Math.min(0, fromTop * (1 - share));
    return (1 - share) * fromTop + share * (this.height - blockHeight);
  }

  #keepInside(): void {
    if (this.following || this.top > this.topMax) this.top = this.topMax;
    if (this.top < 0) this.top = 0;
  }
}
