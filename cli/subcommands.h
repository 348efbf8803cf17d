/* SPDX-License-Identifier: MIT */
/* The subcommands: each in a file of its own name. `argv[0]` is the subcommand; the result is the
 * exit status. */
#ifndef CLI_SUBCOMMANDS_H
#define CLI_SUBCOMMANDS_H

int append_run(int argc, char **argv);
int cat_run(int argc, char **argv);
int info_run(int argc, char **argv);
int verify_run(int argc, char **argv);
int truncate_run(int argc, char **argv);
int tail_run(int argc, char **argv);
int cursor_run(int argc, char **argv);
int trim_run(int argc, char **argv);
int compact_run(int argc, char **argv);
int repair_run(int argc, char **argv);
int copy_run(int argc, char **argv);
int import_run(int argc, char **argv);
int export_run(int argc, char **argv);
int stream_run(int argc, char **argv);
int pipe_run(int argc, char **argv);
int stack_run(int argc, char **argv);
int slab_run(int argc, char **argv);

#endif
