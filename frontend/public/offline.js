// Asks whether the server is back, less often with time, and at once when the device is online or the tab is shown.
const FIRST_MS = 1_000;
const LAST_MS = 10_000;
let wait = FIRST_MS;
let timer = 0;

document.getElementById('host').textContent = location.host;

async function look() {
  clearTimeout(timer);
  try {
    const answer = await fetch('/healthz', { cache: 'no-store' });
    if (answer.ok) return location.reload();
  } catch {
    // Not yet.
  }
  timer = setTimeout(look, wait);
  wait = Math.min(LAST_MS, wait * 1.5);
}

function lookAgain() {
  wait = FIRST_MS;
  if (document.visibilityState === 'visible') look();
}

window.addEventListener('online', lookAgain);
document.addEventListener('visibilitychange', lookAgain);
document.getElementById('now').addEventListener('click', () => location.reload());
look();
