/** The result of runs as Markdown, for people: what was done when, what clients saw of it, and what the oracle says. */
import type { Verdict } from './oracle.ts';

export interface ReportHead {
  readonly startedAt: string;
  readonly command: string;
  readonly driver: string;
}

export type ScenarioResult = { readonly kind: 'ran'; readonly verdict: Verdict; readonly keptAt: string | null } | { readonly kind: 'skipped'; readonly scenario: string; readonly why: string };

export function report(head: ReportHead, results: readonly ScenarioResult[]): string {
  const lines = [
    '# Chaos', '', `Begun ${head.startedAt}, ${head.driver}.`, '', `    ${head.command}`, '',
    '| Scenario | Seed | Seconds | Result |', '|---|---|---|---|',
    ...results.map((result) => (result.kind === 'skipped'
      ? `| ${result.scenario} | | | skipped: ${result.why} |`
      : `| ${result.verdict.scenario} | ${result.verdict.seed} | ${result.verdict.seconds.toFixed(0)} | ${result.verdict.wrong.length === 0 ? 'as promised' : `**${result.verdict.wrong.length} wrong**`} |`)), '',
  ];
  for (const result of results) {
    if (result.kind === 'skipped') continue;
    const { scenario, about, seed, wrong, timeline, summary, historyFile } = result.verdict;
    lines.push(`## ${scenario}`, '', `${about}.`, '', ...summary.map((text) => `- ${text}`), '');
    if (wrong.length > 0) lines.push(`**Not as promised** (seed ${seed}):`, '', ...wrong.map((text) => `- ${text.replaceAll('\n', '\n  ')}`), '');
    lines.push('| Second | What happened |', '|---:|---|', ...timeline.map(({ seconds, kind, text }) => `| ${seconds.toFixed(1)} | ${kind === 'wrong' ? '**wrong** ' : ''}${cell(text)} |`), '');
    lines.push(`History: \`${historyFile}\` (\`npm run histories:check\` reads it again).${result.keptAt === null ? '' : ` Data and logs of the nodes: \`${result.keptAt}\`.`}`, '');
  }
  return lines.join('\n');
}

const cell = (text: string): string => (text.split('\n')[0] ?? '').replaceAll('|', '\\|');
