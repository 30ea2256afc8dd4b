import { describe, expect, test } from 'vitest';
import { SCROLL_RANGE_MAX_PX, Viewport } from './viewport';

function viewport(rows: number, height = 360): Viewport {
  const view = new Viewport(18);
  view.setHeight(height);
  view.setRows(rows);
  view.settled(view.scrollTop);
  return view;
}

describe('following the end', () => {
  test('new rows keep the last one in view', () => {
    const view = viewport(100);
    view.setRows(150);
    expect(view.top).toBe(150 * 18 - 360);
  });

  test('scrolling up leaves it, and new rows then move nothing', () => {
    const view = viewport(100);
    view.scrolled(view.scrollTop - 50);
    const top = view.top;
    view.setRows(1000);
    expect(view.following).toBe(false);
    expect(view.top).toBe(top);
  });

  test('reaching the end by scrolling returns to it', () => {
    const view = viewport(100);
    view.scrolled(100);
    expect(view.following).toBe(false);
    view.scrolled(100 * 18 - 360);
    expect(view.following).toBe(true);
  });

  test('the report of our own scrolling is no intent', () => {
    const view = viewport(100);
    view.setRows(50);
    view.settled(view.scrollTop);
    view.scrolled(view.scrollTop);
    expect(view.following).toBe(true);
  });

  test('is left when going to a row, even the last one', () => {
    const view = viewport(100);
    view.goTo(99);
    expect(view.following).toBe(false);
    expect(view.top).toBe(view.topMax);
  });

  test('is not lost when the rows become fewer', () => {
    const view = viewport(100);
    view.setRows(5);
    expect(view.following).toBe(true);
    expect(view.top).toBe(0);
    view.setRows(200);
    expect(view.top).toBe(view.topMax);
  });
});

describe('a list longer than a browser can scroll', () => {
  const rows = 10_000_000;

  test('has a range that every browser can hold', () => {
    expect(viewport(rows).rangeHeight).toBe(SCROLL_RANGE_MAX_PX);
  });

  test('a small move is one to one', () => {
    const view = viewport(rows);
    view.goTo(5_000_000, 0);
    view.settled(view.scrollTop);
    view.scrolled(view.scrollTop + 54);
    expect(view.firstRow).toBe(5_000_003);
  });

  test('the middle of the scroll bar is the middle of the rows', () => {
    const view = viewport(rows);
    view.scrolled((SCROLL_RANGE_MAX_PX - 360) / 2);
    expect(view.firstRow).toBeCloseTo(rows / 2, -2);
  });

  test('both ends can be reached by the thumb', () => {
    const view = viewport(rows);
    view.scrolled(0);
    expect(view.firstRow).toBe(0);
    view.scrolled(SCROLL_RANGE_MAX_PX - 360);
    expect(view.top).toBe(view.topMax);
    expect(view.following).toBe(true);
  });

  test('the thumb goes back to where it belongs', () => {
    const view = viewport(rows);
    view.goTo(2_500_000, 0);
    expect(view.scrollTop / (SCROLL_RANGE_MAX_PX - 360)).toBeCloseTo(0.25, 3);
  });
});

test('rows that go away above leave the view where it is', () => {
  const view = viewport(1000);
  view.goTo(500, 0);
  view.removeAbove(256);
  expect(view.firstRow).toBe(244);
  view.removeAbove(700);
  expect(view.top).toBe(0);
});

describe('wrapped rows', () => {
  test('start with the hidden share of the first row', () => {
    const view = viewport(1000);
    view.goTo(100, 0);
    view.moveBy(9);
    expect(view.wrappedOffset(54, 2000)).toBe(-27);
  });

  test('end exactly with the last row', () => {
    const view = viewport(1000);
    view.follow();
    expect(view.wrappedOffset(54, 1000)).toBe(360 - 1000);
  });

  test('that fit altogether stay at the top', () => {
    const view = viewport(3);
    expect(view.wrappedOffset(18, 54)).toBeCloseTo(0);
  });
});

describe('wrapped rows that are drawn', () => {
  test('are no more than what is seen and a screen on each side, however high they are', () => {
    const view = viewport(1000);
    view.goTo(100, 0);
    expect(view.wrappedPart(() => 900)).toEqual({ from: 100, to: 101, anchor: { row: 100, share: 0, y: 0 } });
    view.follow();
    expect(view.wrappedPart(() => 500)).toEqual({ from: 998, to: 1000, anchor: { row: 999, share: 1, y: 360 } });
  });

  test('are all rows in view while none is higher than a line', () => {
    const view = viewport(1000);
    view.goTo(100, 0);
    expect(view.wrappedPart(() => 18)).toMatchObject({ from: 100, to: 100 + view.visibleRows });
  });

  test('stand over the last screen where the whole block would put them', () => {
    const view = viewport(1000);
    view.goTo(970, 0);
    const { row, share, y } = view.wrappedPart(() => 180).anchor;
    const offset = view.wrappedOffset(180, 180 * 30);
    expect(y - (row - 970 + share) * 180).toBeCloseTo(offset);
  });

  test('are none where there is none', () => {
    expect(viewport(0).wrappedPart(() => 18)).toMatchObject({ from: 0, to: 0 });
  });
});
