/* The one program in the pods of these tests: probe serve PORT | fetch HOST PORT | resolve HOST | write FILE TEXT. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int resolve(const char *host, const char *port, struct addrinfo **found) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    int problem = getaddrinfo(host, port, &hints, found);

    if (problem) {
        fprintf(stderr, "%s: %s\n", host, gai_strerror(problem));
    }
    return problem;
}

/* Tell each caller the address from which it is seen. */
static int serve(const char *port) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
    struct sockaddr_in peer;
    socklen_t size = sizeof(peer);
    int yes = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(listener, (struct sockaddr *)&here, sizeof(here)) || listen(listener, 16)) {
        perror("listen");
        return 1;
    }
    printf("serving\n");
    fflush(stdout);
    for (;;) {
        int client = accept(listener, (struct sockaddr *)&peer, &size);
        if (client >= 0) {
            dprintf(client, "%s\n", inet_ntoa(peer.sin_addr));
            close(client);
        }
    }
}

static int fetch(const char *host, const char *port) {
    struct addrinfo *found;
    char text[256];
    ssize_t length;
    int connection;

    if (resolve(host, port, &found)) {
        return 1;
    }
    connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection, found->ai_addr, found->ai_addrlen)) {
        perror(host);
        return 1;
    }
    while ((length = read(connection, text, sizeof(text))) > 0) {
        fwrite(text, 1, (size_t)length, stdout);
    }
    return 0;
}

static int show(const char *host) {
    struct addrinfo *found;

    if (resolve(host, NULL, &found)) {
        return 1;
    }
    printf("%s\n", inet_ntoa(((struct sockaddr_in *)found->ai_addr)->sin_addr));
    return 0;
}

static int store(const char *path, const char *text) {
    FILE *file = fopen(path, "w");

    if (!file || fprintf(file, "%s\n", text) < 0 || fclose(file)) {
        perror(path);
        return 1;
    }
    return 0;
}

int main(int count, char **words) {
    if (count == 3 && !strcmp(words[1], "serve")) {
        return serve(words[2]);
    }
    if (count == 4 && !strcmp(words[1], "fetch")) {
        return fetch(words[2], words[3]);
    }
    if (count == 3 && !strcmp(words[1], "resolve")) {
        return show(words[2]);
    }
    if (count == 4 && !strcmp(words[1], "write")) {
        return store(words[2], words[3]);
    }
    fprintf(stderr, "usage: probe serve PORT | fetch HOST PORT | resolve HOST | write FILE TEXT\n");
    return 2;
}
