/** `node bench/show-profile.ts FILE…`: the functions of CPU profiles by the time spent in themselves. */
import { readFileSync } from 'node:fs';

/** What V8 writes with `--cpu-prof`, as far as it is read here. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  /** Microseconds since the sample before. */
  readonly timeDeltas: readonly number[];
}

const LINES = 30;

function placeOf({ callFrame }: CpuProfile['nodes'][number]): string {
  const { functionName, url, lineNumber } = callFrame;
  const file = url.replace(/^.*\/(node|common|node_modules)\//, '$1/');
  const name = functionName === '' ? '(anonymous or native)' : functionName;
  return file === '' ? name : `${name} ${file}:${String(lineNumber + 1)}`;
}

/** Microseconds by function, most first. Idle time is left out. */
function selfTimes(profile: CpuProfile): [string, number][] {
  const places = new Map(profile.nodes.map((node) => [node.id, placeOf(node)]));
  const times = new Map<string, number>();
  for (const [index, id] of profile.samples.entries()) {
    const place = places.get(id) ?? '(unknown)';
    if (place === '(idle)') continue;
    times.set(place, (times.get(place) ?? 0) + (profile.timeDeltas[index] ?? 0));
  }
  return [...times].sort(([, first], [, second]) => second - first);
}

for (const file of process.argv.slice(2)) {
  const times = selfTimes(JSON.parse(readFileSync(file, 'utf8')) as CpuProfile);
  const busy = times.reduce((sum, [, time]) => sum + time, 0);
  process.stdout.write(`${file}: ${(busy / 1e6).toFixed(2)} s busy\n`);
  for (const [place, time] of times.slice(0, LINES)) {
    process.stdout.write(`${((100 * time) / busy).toFixed(1).padStart(6)} %  ${place}\n`);
  }
}
