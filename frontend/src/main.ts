import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { app } from './lib/app';
import { startWorker } from './lib/worker';

app.prefs.start();
mount(App, { target: document.getElementById('app') as HTMLElement });
startWorker();
