// What can be done with a desktop, for its row and for its page.

import type { Desktop } from '../../lib/api/types';
import { app } from '../../lib/app';
import { router } from '../../lib/router';
import { asks } from '../../lib/state/asks.svelte';
import { newTask } from '../../lib/state/new-task.svelte';
import type { MenuItem } from '../../lib/ui/Menu.svelte';
import { adding } from './adding.svelte';
import { isConfirmed } from './ssh';

/** A person has to compare a fingerprint before anything is sent to it. */
export function needsKey(desktop: Desktop): boolean {
  if (desktop.error?.code === 'host_key_changed') return true;
  return !isConfirmed(desktop.ssh) && desktop.ssh.offeredFingerprints.length > 0;
}

export function removeDesktop(desktop: Desktop): void {
  asks.open({
    kind: 'confirm',
    title: `Remove ${desktop.name}?`,
    detail:
      'Its pending tasks are cancelled and its secrets are deleted. Its past tasks stay readable. To use it again it has to be added anew.',
    label: 'Remove desktop',
    run: async () => {
      await app.desktops.remove(desktop.id);
      if (router.route.name === 'desktop') router.go('/desktops');
      app.toasts.say(`${desktop.name} was removed`);
    },
  });
}

export function itemsOf(desktop: Desktop): MenuItem[][] {
  const admin = app.whyNot('admin');
  const operator = app.whyNot('operator') ?? (desktop.status === 'running' ? null : 'It is not running.');
  const order = (name: 'start' | 'stop' | 'restart') => () => app.attempt(() => app.desktops.order(desktop.id, name));
  return [
    [
      {
        label: 'Run a command here',
        icon: 'command',
        reason: operator,
        run: () => newTask.show({ type: 'command', desktopId: desktop.id }),
      },
      { label: 'Tasks on the board', icon: 'board', run: () => router.go(`/?desktop=${desktop.id}`) },
    ],
    [
      needsKey(desktop)
        ? { label: 'Confirm host key', icon: 'key', reason: admin, run: () => adding.finish(desktop.id) }
        : { label: 'Check', icon: 'check', reason: admin, run: () => adding.finish(desktop.id, true) },
      desktop.status === 'stopped'
        ? { label: 'Back into service', icon: 'play', reason: admin, run: order('start') }
        : { label: 'Take out of service', icon: 'pause', reason: admin, run: order('stop') },
      { label: 'Connect anew', icon: 'retry', reason: admin, run: order('restart') },
    ],
    [{ label: 'Remove', icon: 'trash', tone: 'bad', reason: admin, run: () => removeDesktop(desktop) }],
  ];
}
