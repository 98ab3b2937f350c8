<?php
// Speaks to a hub through Symfony's own components.
//
// php symfony.php publish URL CA TOKEN|old:SECRET    reads updates as JSON lines, prints the id of each
// php symfony.php subscribe URL CA TOKEN             prints each event as a JSON line

require 'Symfony/Component/Mercure/autoload.php';
require 'Symfony/Component/HttpClient/autoload.php';

use Symfony\Component\HttpClient\Chunk\ServerSentEvent;
use Symfony\Component\HttpClient\EventSourceHttpClient;
use Symfony\Component\HttpClient\HttpClient;
use Symfony\Component\Mercure\Hub;
use Symfony\Component\Mercure\Jwt\CallableTokenProvider;
use Symfony\Component\Mercure\Update;

[, $command, $url, $authority, $token] = $argv;
$client = HttpClient::create(['cafile' => $authority, 'timeout' => 60]);

/** A token as applications of Symfony have signed them since 2018. */
function old_token(string $secret): string
{
    $encode = fn (array $part): string => rtrim(strtr(base64_encode(json_encode($part)), '+/', '-_'), '=');
    $signed = $encode(['typ' => 'JWT', 'alg' => 'HS256']).'.'.$encode(['mercure' => ['publish' => ['*']]]);
    $signature = base64_encode(hash_hmac('sha256', $signed, $secret, true));

    return $signed.'.'.rtrim(strtr($signature, '+/', '-_'), '=');
}

if ('publish' === $command) {
    $provider = new CallableTokenProvider(
        fn (): string => str_starts_with($token, 'old:') ? old_token(substr($token, 4)) : $token
    );
    $hub = new Hub($url, $provider, null, null, $client);
    while ($line = fgets(STDIN)) {
        $update = json_decode($line, true, 512, JSON_THROW_ON_ERROR);
        echo $hub->publish(new Update(
            $update['topics'],
            $update['data'],
            $update['private'] ?? false,
            $update['id'] ?? null,
            $update['type'] ?? null,
            $update['retry'] ?? null,
        )), "\n";
    }
} else {
    $client = new EventSourceHttpClient($client, 0.05);
    $last = null;
    while (true) {
        // When a stream has ended it is for the application to come back.
        $headers = null === $last ? [] : ['Last-Event-ID' => $last];
        $headers += ['Accept' => 'text/event-stream'];
        $source = $client->connect($url, ['auth_bearer' => $token, 'headers' => $headers]);
        foreach ($client->stream($source) as $chunk) {
            if ($chunk->isTimeout()) {
                continue;
            }
            if ($chunk->isFirst()) {
                echo json_encode(['open' => true]), "\n";
            }
            if ($chunk instanceof ServerSentEvent) {
                $last = $chunk->getId();
                echo json_encode([
                    'type' => $chunk->getType(),
                    'id' => $last,
                    'data' => json_decode($chunk->getData(), true, 512, JSON_THROW_ON_ERROR),
                ]), "\n";
            }
        }
    }
}
