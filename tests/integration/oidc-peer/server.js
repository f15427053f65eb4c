// A certified OpenID provider with one client; prints its port when it listens.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const [clientId, clientSecret, redirectUri] = process.argv.slice(2);
const google = 'https://www.googleapis.com/auth/';

const server = createServer((request, response) => answer(request, response));
let answer = (_, response) => response.writeHead(503).end();

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{
      client_id: clientId,
      client_secret: clientSecret,
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'client_secret_post',
    }],
    scopes: ['openid', `${google}userinfo.email`, `${google}calendar.events.readonly`],
    claims: { openid: ['sub'], [`${google}userinfo.email`]: ['email', 'email_verified'] },
    conformIdTokenClaims: process.argv[5] !== 'claims-in-id-token',
    pkce: { required: () => true },
    issueRefreshToken: async () => true,
    findAccount: async (_, id) => ({
      accountId: id,
      claims: async () => ({ sub: id, email: id, email_verified: true }),
    }),
  });
  answer = provider.callback();
  console.log(port);
});
