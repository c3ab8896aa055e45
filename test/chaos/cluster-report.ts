/** The result of runs on a cluster as Markdown, for people. */
import type { ClusterRunResult } from './cluster-run.ts';

export interface ReportHead {
  readonly image: string;
  readonly kubernetes: string;
  readonly startedAt: string;
  readonly command: string;
  readonly directory: string;
}

export function clusterReport(head: ReportHead, results: readonly ClusterRunResult[]): string {
  const lines = [
    '# Chaos on a cluster', '',
    `Begun ${head.startedAt}, Kubernetes ${head.kubernetes}, image \`${head.image}\`.`, '', `    ${head.command}`, '',
    '| Scenario | Seed | Seconds | Result |', '|---|---|---|---|',
    ...results.map(({ name, seed, seconds, wrong }) => `| ${name} | ${seed} | ${seconds.toFixed(0)} | ${wrong.length === 0 ? 'as promised' : `**${wrong.length} wrong**`} |`), '',
  ];
  for (const { name, wrong, summary } of results) {
    lines.push(`## ${name}`, '', ...summary.map((line) => `- ${line}`), '');
    if (wrong.length > 0) lines.push('Wrong:', '', ...wrong.map((text) => `- ${text.replaceAll('\n', '\n  ')}`), '');
  }
  lines.push(`Histories (readable by \`npm run histories:check\`) and the logs of all pods: \`${head.directory}\`.`, '');
  return lines.join('\n');
}
