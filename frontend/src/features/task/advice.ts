/**
 * What to do about a failed task, by the code of its error. The message says what happened; this says what
 * helps. A code that is not named here needs no more than its message.
 */
import type { Task } from '../../lib/api/types';

const ADVICE: Record<string, string> = {
  connection_lost: 'Look at the desktop: the command may have gone on without us. Retry when you know that it has not.',
  run_lost: 'What became of it is not known. Look at the desktop before you retry.',
  desktop_unreachable: 'It may still run there. When the desktop is back, its true end is noted here.',
  desktop_rebooted: 'Look at how far it came, then retry.',
  supervisor_killed: 'Often the machine ran out of memory. Look at the desktop before you retry.',
  secret_missing: 'Set the secret again in the settings, then retry.',
  secrets_need_outpost: 'Install Python 3 on the desktop, or choose another one.',
  start_refused: 'Mend what it names on the desktop, then retry.',
  start_failed: 'Mend what it names, then retry.',
  cwd_invalid: '“Use again” lets you name another directory.',
  output_mismatch: 'Check the log with “mission-control log verify”, and look at the desktop before you retry.',
  agent_needs_outpost: 'Install Python 3 on the desktop, or let the server ask the agent itself.',
  host_unreachable: 'Check the desktop’s address and network, then retry.',
  host_not_found: 'Correct the desktop’s address, then retry.',
  connection_refused: 'Check that an SSH server runs on the desktop, then retry.',
  host_key_changed:
    'Find out why the desktop shows another host key. Confirm the new one on its page only if you know.',
  host_key_unknown: 'Confirm the host key on the desktop’s page, then retry.',
  timeout: 'Give it more time, or a smaller piece of work: “Use again” lets you change both.',
  agent_not_ready: 'Check the agent’s endpoint on the desktop’s page, then retry.',
  agent_not_configured: 'Add an agent endpoint on the desktop’s page.',
  agent_unreachable: 'Check that the agent is running on the desktop, then retry.',
  agent_unavailable: 'The agent is busy or starting. Retry in a minute.',
  agent_busy: 'The agent is busy. Retry in a minute.',
  agent_unauthorized: 'Enter the agent’s token again on the desktop’s page, then retry.',
  agent_token_invalid: 'Enter the agent’s token again on the desktop’s page, then retry.',
  agent_not_found:
    'The endpoint is switched off or has another path. For OpenClaw set gateway.http.endpoints.chatCompletions.enabled to true.',
  agent_not_sse: 'Something else answers at the agent’s address, often a proxy’s sign-in page. Check the URL.',
  agent_redirected: 'Use the agent’s final URL on the desktop’s page.',
  agent_silent: 'The agent said nothing for too long. Look at it on the desktop, then retry.',
  agent_stream_truncated: 'The answer below is not complete. Retry to ask again.',
  agent_cut_short: 'The model reached its limit of tokens. Ask for less at once, or raise the limit.',
  agent_content_filter: 'The model’s filter stopped the answer. Put the prompt in other words.',
  agent_empty: 'Retry; if it happens again, look at the agent’s own log.',
};

export function adviceFor(task: Pick<Task, 'error' | 'exitCode' | 'signal'>): string | null {
  const known = task.error && ADVICE[task.error.code];
  if (known) return known;
  if (task.exitCode === 127) return 'Check the spelling, and whether the program is in the PATH of that account.';
  if (task.exitCode === 126) return 'Make the file executable, or start it through its interpreter.';
  if (task.exitCode === 137 || task.signal === 'KILL') return 'Often the machine ran out of memory.';
  return null;
}
