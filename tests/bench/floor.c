/* The floor of a health check: connect to a Unix socket, MySQL's handshake, one command, read all of
 * the answer. No library, no configuration, an account without a password.
 *
 *   cc -O2 -static -o floor floor.c;  ./floor SOCKET USER SQL
 *
 * Exit code 0: an answer. 1: an error of the server, or of the system. */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static unsigned char buffer[1 << 20];
static size_t start, end;

static int fill(int fd, size_t wanted)
{
    while (end - start < wanted) {
        ssize_t count = read(fd, buffer + end, sizeof buffer - end);
        if (count <= 0)
            return -1;
        end += (size_t)count;
    }
    return 0;
}

/* The next packet's length; its payload begins at *payload. */
static long packet(int fd, unsigned char **payload)
{
    if (fill(fd, 4))
        return -1;
    size_t length = buffer[start] | buffer[start + 1] << 8 | (size_t)buffer[start + 2] << 16;
    if (fill(fd, 4 + length))
        return -1;
    *payload = buffer + start + 4;
    start += 4 + length;
    return (long)length;
}

static int say(int fd, int sequence, const unsigned char *payload, size_t length)
{
    unsigned char out[8192];
    if (length > sizeof out - 4)
        return -1;
    out[0] = length & 255, out[1] = length >> 8 & 255, out[2] = 0, out[3] = (unsigned char)sequence;
    memcpy(out + 4, payload, length);
    return write(fd, out, length + 4) == (ssize_t)(length + 4) ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (argc != 4 || strlen(argv[1]) >= sizeof address.sun_path || strlen(argv[2]) > 64)
        return 1;
    strcpy(address.sun_path, argv[1]);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
        return 1;
    unsigned char *p;
    if (packet(fd, &p) < 1 || p[0] != 10)
        return 1;
    /* PROTOCOL_41, SECURE_CONNECTION, MULTI_STATEMENTS, MULTI_RESULTS, PLUGIN_AUTH, LONG_PASSWORD */
    uint32_t flags = 0x200 | 0x8000 | 0x10000 | 0x20000 | 0x80000 | 1, largest = 1 << 24;
    unsigned char hello[256] = { 0 };
    size_t at = 32, user = strlen(argv[2]);
    memcpy(hello, &flags, 4), memcpy(hello + 4, &largest, 4), hello[8] = 45;
    memcpy(hello + at, argv[2], user), at += user + 1;
    hello[at++] = 0; /* no proof: no password */
    strcpy((char *)hello + at, "mysql_native_password"), at += 22;
    if (say(fd, 1, hello, at) || packet(fd, &p) < 1 || p[0] != 0)
        return 1;
    unsigned char command[8000] = { 3 };
    size_t length = strlen(argv[3]);
    if (length > sizeof command - 1)
        return 1;
    memcpy(command + 1, argv[3], length);
    if (say(fd, 0, command, length + 1))
        return 1;
    for (;;) { /* each result set: columns, EOF, rows, EOF; or an OK */
        long size = packet(fd, &p);
        if (size < 1 || p[0] == 0xff)
            return 1;
        int ends = p[0] == 0 ? 0 : 2;
        unsigned status = ends ? 0 : p[3] | p[4] << 8;
        while (ends > 0) {
            if ((size = packet(fd, &p)) < 1 || p[0] == 0xff)
                return 1;
            if (p[0] == 0xfe && size < 9)
                ends--, status = p[3] | p[4] << 8;
        }
        if (!(status & 8))
            break;
    }
    unsigned char quit = 1;
    say(fd, 0, &quit, 1);
    return write(1, "alive\n", 6) == 6 ? 0 : 1;
}
