// Where one can go, once: the rail, the headings, the keys and the palette read this table.
import type { Command } from '../../lib/keys/registry';
import { type Route, routeOf } from '../../lib/router';
import type { IconName } from '../../lib/ui/icons';

export interface Place {
  href: string;
  label: string;
  icon: IconName;
  command: Command;
  /** Routes that belong to it, the first being its own. */
  routes: string[];
  /** Further words that find it in the palette. */
  words: string;
  /** Has a tab on a phone; the others are behind "More". */
  isTab?: boolean;
}

const ALL: Place[] = [
  {
    href: '/',
    label: 'Board',
    icon: 'board',
    command: 'go-board',
    routes: ['board', 'task'],
    words: 'tasks columns home',
    isTab: true,
  },
  {
    href: '/approvals',
    label: 'Approvals',
    icon: 'approvals',
    command: 'go-approvals',
    routes: ['approvals'],
    words: 'review decide waiting',
    isTab: true,
  },
  {
    href: '/desktops',
    label: 'Desktops',
    icon: 'desktop',
    command: 'go-desktops',
    routes: ['desktops', 'desktop'],
    words: 'hosts machines agents ssh',
    isTab: true,
  },
  {
    href: '/batches',
    label: 'Batches',
    icon: 'layers',
    command: 'go-batches',
    routes: ['batches', 'batch'],
    words: 'several together',
  },
  {
    href: '/overview',
    label: 'Overview',
    icon: 'chart',
    command: 'go-overview',
    routes: ['overview'],
    words: 'charts statistics fleet health',
  },
  { href: '/search', label: 'Search', icon: 'search', command: 'go-search', routes: ['search'], words: 'find history' },
  {
    href: '/settings',
    label: 'Settings',
    icon: 'settings',
    command: 'go-settings',
    routes: ['settings', 'reference'],
    words: 'theme keys notifications approval mode sign out',
  },
];

export const PLACES: readonly Place[] = ALL.filter((place) => routeOf(place.href).name !== 'unknown');

export const placeOf = (route: Route): Place | undefined => PLACES.find((place) => place.routes.includes(route.name));
