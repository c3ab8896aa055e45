/** `dht node --help` and docs/settings.md, both written from the catalogue. */
import type { NodeSettings } from './node-settings.ts';
import { COMMAND_LINE_ENVIRONMENT, SETTINGS, type Setting } from './settings-catalogue.ts';

const ENTRIES: readonly Setting<unknown>[] = (Object.keys(SETTINGS) as (keyof NodeSettings)[]).map((key) => SETTINGS[key]);

function flagText(setting: Setting<unknown>): string {
  if (setting.flag === null) return '';
  return setting.arity === 'switch' ? `--${setting.flag}` : `--${setting.flag} ${setting.placeholder}`;
}

/** The text of `dht node --help`. */
export function settingsHelp(): string {
  const lines = ['Usage: dht node [SETTING...]', '', 'Starts one node. Every setting is a flag or an environment variable; the flag wins.', ''];
  for (const setting of ENTRIES) {
    const head = flagText(setting);
    lines.push(`  ${head === '' ? setting.environment : `${head}  (${setting.environment})`}`);
    lines.push(`      ${setting.help}`);
    lines.push(`      Allowed: ${setting.allowed}. Default: ${setting.defaultText}.${setting.arity === 'list' ? ' Repeatable.' : ''}`);
  }
  return `${lines.join('\n')}\n`;
}

/** The whole of docs/settings.md. */
export function settingsDocument(): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const row = (setting: Setting<unknown>): string => {
    const flag = flagText(setting);
    return `| ${flag === '' ? '' : `\`${flag}\``} | \`${setting.environment}\` | ${cell(setting.defaultText)} | ${setting.unit} | ${cell(setting.allowed)} | ${cell(setting.help)} |`;
  };
  return `# Settings of a node

Written from the catalogue in \`src/config/settings-catalogue.ts\`; a test holds this page against it.

A flag wins over the environment; \`--join\` may be repeated, in the environment its addresses are separated by commas. An
empty variable counts as not set. An unknown or wrong setting, also an unknown variable that begins with \`DHT_\`, ends the
start with exit code 2 and one line that names it, its value and what is allowed. In Kubernetes set
\`enableServiceLinks: false\`, or a service called \`dht\` injects variables such as \`DHT_PORT=tcp://...\`.

| flag | environment | default | unit | allowed | meaning |
|---|---|---|---|---|---|
${ENTRIES.map(row).join('\n')}

The variables ${COMMAND_LINE_ENVIRONMENT.map((name) => `\`${name}\``).join(', ')} belong to the command line (see
command-line.md) and are ignored by a node.
`;
}
