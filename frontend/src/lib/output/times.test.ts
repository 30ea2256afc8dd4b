import { expect, test } from 'vitest';
import { byTheClock, nextMode, sinceStart, timeText } from './times';

test('time since the start', () => {
  expect(sinceStart(1204)).toBe('+0:01.204');
  expect(sinceStart(61_000)).toBe('+1:01.000');
  expect(sinceStart(3_723_004)).toBe('+1:02:03.004');
});

test('time by the clock', () => {
  const began = new Date(2026, 10, 24, 14, 3, 10, 500).getTime();
  expect(byTheClock(1845, began)).toBe('14:03:12.345');
});

test('the key goes round all three', () => {
  expect(nextMode(nextMode(nextMode('off')))).toBe('off');
  expect(timeText('off', 0)).toBeNull();
  expect(timeText('absolute', null)?.(1)).toBe('+0:00.001');
});
