/**
 * Smoke and read-your-writes without k6: `npm run loadtest:node -- smoke [--profile ci] [--url URL] [--seed NUMBER]`. Without
 * a URL against a new ring of three processes. Exit code: 0 all was right, 1 something wasn't, 2 it could not be run.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseCommandLine, PROFILES } from '../runner/command-line.ts';
import { localTarget } from '../runner/local-target.ts';
import { givenTarget } from '../runner/target.ts';
import type { Profile } from '../lib/profile.ts';
import { isKept, NODE_SCENARIOS, nodeRun } from './node-run.ts';

const command = parseCommandLine(process.argv.slice(2), Math.floor(Date.now() / 1000));
const scenario = typeof command === 'string' ? undefined : NODE_SCENARIOS.find((name) => name === command.scenario);
if (typeof command === 'string' || scenario === undefined) {
  console.error(`${typeof command === 'string' ? command : `${command.scenario} needs k6.`}\nnpm run loadtest:node -- ${NODE_SCENARIOS.join('|')} [--profile NAME] [--url URL] [--nodes COUNT] [--seed NUMBER]`);
  process.exit(2);
}
const profile = JSON.parse(await readFile(path.join(PROFILES, `${command.profile}.json`), 'utf8')) as Profile;
const target = command.urls.length > 0 ? givenTarget(command.urls, []) : await localTarget(command.nodes);
try {
  const report = await nodeRun({ scenario, urls: target.baseUrls, token: process.env['TOKEN'] ?? '', profile, seed: command.seed });
  for (const detail of report.details.slice(0, 20)) console.error(detail);
  console.log(JSON.stringify({ ...report, details: report.details.length }));
  process.exitCode = isKept(report) ? 0 : 1;
} finally {
  await target.stop();
}
