import { describe, expect, it } from 'vitest';
import { differenceMs } from './clock';

const NOON = Date.UTC(2026, 10, 24, 12);
const date = (ms: number) => new Date(ms).toUTCString();

describe('the clock', () => {
  it('knows how far the browser is off', () => {
    const day = 86_400_000;
    expect(differenceMs(date(NOON), NOON - day, NOON - day + 100)).toBe(day + 450);
    expect(differenceMs(date(NOON), NOON + day, NOON + day)).toBe(500 - day);
  });

  it('takes a second more or less for agreement', () => {
    expect(differenceMs(date(NOON), NOON + 999, NOON + 1_010)).toBe(0);
    expect(differenceMs(date(NOON), NOON - 1_500, NOON - 1_400)).toBe(0);
  });

  it('does not take a slow answer for a wrong clock', () => {
    expect(differenceMs(date(NOON), NOON - 10_000, NOON + 10)).toBe(0);
    expect(differenceMs(date(NOON), NOON - 10, NOON + 10_000)).toBe(0);
  });

  it('says nothing where a proxy left the header out', () => {
    expect(differenceMs(null, NOON, NOON)).toBeNull();
    expect(differenceMs('yesterday', NOON, NOON)).toBeNull();
  });
});
