import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Client } from './client';

const PATH = '/api/mission-control/tasks/task_1';
const answer = (title: string) => new Response(JSON.stringify({ title }));
const client = new Client();
let asked: string[];

beforeEach(() => {
  asked = [];
  vi.stubGlobal('window', {
    missionControlEarly: new Map([[PATH, { sentAt: Date.now(), response: Promise.resolve(answer('early')) }]]),
  });
  vi.stubGlobal('fetch', async (path: string) => {
    asked.push(path);
    return answer('late');
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const title = async () => (await client.get<{ title: string }>('/tasks/task_1')).data.title;

describe('an answer that was asked for before the code was here', () => {
  it('is taken once', async () => {
    expect(await title()).toBe('early');
    expect(asked).toEqual([]);
    expect(await title()).toBe('late');
    expect(asked).toEqual([PATH]);
  });

  it('is old after a while', async () => {
    vi.useFakeTimers({ now: Date.now() + 6_000 });
    expect(await title()).toBe('late');
  });

  it('is old when something was changed, like who is signed in', async () => {
    await client.post('/api/auth/session', {});
    expect(await title()).toBe('late');
  });
});
