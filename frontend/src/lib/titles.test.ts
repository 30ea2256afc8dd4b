import { expect, test } from 'vitest';
import { piecesOf } from './titles';

const unbroken = (title: string) =>
  piecesOf(title)
    .filter(({ isUnbroken }) => isUnbroken)
    .map(({ text }) => text);

test('an option is not broken after its hyphens', () => {
  expect(unbroken('npm run deploy -- --env staging')).toEqual(['--', '--env']);
  expect(unbroken('docker build -t app .')).toEqual(['-t']);
});

test('what is longer than a line breaks anywhere', () => {
  expect(unbroken('tail -f /var/log/a-very-long-name-of-a-file.log')).toEqual(['-f']);
});

test('the pieces are the title', () => {
  for (const title of ['', 'Lint', '-', ' a - b ', 'a-b\u00a0c-d', 'x'.repeat(40)])
    expect(
      piecesOf(title)
        .map(({ text }) => text)
        .join(''),
    ).toBe(title);
});
