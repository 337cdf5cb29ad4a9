import { apiSuite, samples } from './api-suite.ts';
import { FakeApiServer } from './fake-api-server.ts';

apiSuite('the fake API server', async () => {
  const server = await FakeApiServer.open();
  server.register(samples);
  return {
    connection: server.connection,
    namespace: 'suite',
    forget: () => {
      server.compact();
    },
    close: () => server.close(),
  };
});
