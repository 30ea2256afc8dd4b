// What the palette offers on every screen: places, actions, desktops, settings.
import { app } from '../../lib/app';
import { type Command, keysOf } from '../../lib/keys/registry';
import { router } from '../../lib/router';
import type { PaletteItem } from '../../lib/state/palette.svelte';
import type { Theme } from '../../lib/state/prefs.svelte';
import type { IconName } from '../../lib/ui/icons';
import { PLACES } from './places';

const THEMES: [Theme, IconName][] = [
  ['light', 'sun'],
  ['dark', 'moon'],
  ['system', 'desktop'],
];

/** `actions` are those of the frame itself: a name, what it shows, what it does, why it cannot. */
export function frameItems(
  actions: { command: Command; label: string; icon: IconName; run: () => void; reason?: string | null }[],
): PaletteItem[] {
  return [
    ...PLACES.map(
      ({ href, label, icon, command, words }): PaletteItem => ({
        id: `place:${href}`,
        group: 'Go to',
        label,
        icon,
        words: `${words} go`,
        keys: keysOf(command),
        run: () => router.go(href),
      }),
    ),
    {
      id: 'place:/reference',
      group: 'Go to',
      label: 'API',
      icon: 'command',
      words: 'reference openapi rest curl script errors go',
      run: () => router.go('/reference'),
    },
    ...actions.map(
      ({ command, ...action }): PaletteItem => ({
        id: `action:${command}`,
        group: 'Actions',
        keys: keysOf(command),
        ...action,
      }),
    ),
    ...app.desktops.all.map(
      (desktop): PaletteItem => ({
        id: `desktop:${desktop.id}`,
        group: 'Desktops',
        label: desktop.name,
        icon: 'desktop',
        detail: desktop.status === 'running' ? undefined : desktop.status,
        words: `desktop ${desktop.labels.join(' ')}`,
        run: () => router.go(`/desktops/${desktop.id}`),
      }),
    ),
    ...settings(),
  ];
}

function settings(): PaletteItem[] {
  const mode = app.settings.taskApprovalMode;
  return [
    ...THEMES.filter(([theme]) => theme !== app.prefs.theme).map(
      ([theme, icon]): PaletteItem => ({
        id: `theme:${theme}`,
        group: 'Settings',
        label: theme === 'system' ? 'Theme of the system' : `${theme === 'dark' ? 'Dark' : 'Light'} theme`,
        icon,
        words: 'theme appearance mode',
        run: () => {
          app.prefs.theme = theme;
        },
      }),
    ),
    {
      id: 'setting:approval-mode',
      group: 'Settings',
      label: `Switch approval mode ${mode ? 'off' : 'on'}`,
      icon: 'approvals',
      words: 'task review',
      reason: app.whyNot('admin'),
      run: () => app.attempt(() => app.settings.change({ taskApprovalMode: !mode })),
    },
    {
      id: 'setting:keys',
      group: 'Settings',
      label: `Switch single-key shortcuts ${app.prefs.areKeysOn ? 'off' : 'on'}`,
      icon: 'keyboard',
      run: () => {
        app.prefs.areKeysOn = !app.prefs.areKeysOn;
      },
    },
    {
      id: 'setting:sign-out',
      group: 'Settings',
      label: 'Sign out',
      icon: 'out',
      run: () => app.attempt(() => app.signOut()),
    },
  ];
}
