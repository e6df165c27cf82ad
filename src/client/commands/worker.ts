import type { Register } from './registration';

export const registerWorker: Register = (program, run) => {
  program
    .command('worker')
    .summary('run a worker in the foreground')
    .description(
      'Runs a worker until SIGTERM or Ctrl-C, which let running steps finish. Its log goes to stdout as JSON lines. Settings: see .env.example.',
    )
    .action(() =>
      run(async () => {
        // Loaded on demand, which takes a name with its extension: the native parts would cost every other command its quick start.
        const { main } = await import('../../worker.js');
        await main();
      }),
    );
};
