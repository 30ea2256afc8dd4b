import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PendingDecisions, UNDO_MS, type Verdict } from './decisions.svelte';

const verdict = (id: string, change: Partial<Verdict> = {}): Verdict => ({
  approvalId: `appr_${id}`,
  taskId: `task_${id}`,
  decision: 'approve',
  feedback: '',
  retry: false,
  ...change,
});

let sent: string[] = [];
let decisions: PendingDecisions;

beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  decisions = new PendingDecisions(({ approvalId, decision }) => sent.push(`${decision} ${approvalId}`));
});
afterEach(() => {
  vi.useRealTimers();
});

test('a decision is sent after five seconds, once', () => {
  decisions.decide(verdict('1'));
  vi.advanceTimersByTime(UNDO_MS - 1);
  expect(sent).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(sent).toEqual(['approve appr_1']);
  expect(decisions.waiting).toEqual([]);
  decisions.flush();
  expect(sent).toHaveLength(1);
});

test('a decision that was taken back is never sent', () => {
  decisions.decide(verdict('1', { feedback: 'No.' }));
  expect(decisions.undo('appr_1')?.feedback).toBe('No.');
  vi.advanceTimersByTime(UNDO_MS * 2);
  expect(sent).toEqual([]);
});

test('deciding again replaces the first decision', () => {
  decisions.decide(verdict('1'));
  decisions.decide(verdict('1', { decision: 'reject' }));
  vi.advanceTimersByTime(UNDO_MS);
  expect(sent).toEqual(['reject appr_1']);
});

test('undo takes back the newest', () => {
  decisions.decide(verdict('1'));
  decisions.decide(verdict('2'));
  expect(decisions.undoLast()?.approvalId).toBe('appr_2');
  expect(decisions.has('appr_1')).toBe(true);
});

test('leaving the page sends what waits', () => {
  decisions.decide(verdict('1'));
  decisions.decide(verdict('2', { decision: 'reject' }));
  decisions.flush();
  expect(sent).toEqual(['approve appr_1', 'reject appr_2']);
});
