//! `pintail completions`.

use crate::project::Project;

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    let project = Project::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = project.succeed(&["completions", shell]).stdout;
        for word in ["pintail", "copy", "validate", "--config-dir"] {
            let word = if shell == "fish" {
                word.trim_start_matches('-')
            } else {
                word
            };
            assert!(script.contains(word), "{shell} lacks {word}");
        }
    }
}

#[test]
fn the_script_for_bash_is_one() {
    let project = Project::empty();
    let script = project.succeed(&["completions", "bash"]).stdout;
    project.write("pintail.bash", &script);
    let mut bash = std::process::Command::new("bash");
    bash.current_dir(project.path("")).args([
        "-c",
        "source pintail.bash; COMP_WORDS=(pintail con); COMP_CWORD=1; _pintail pintail con pintail; echo \"${COMPREPLY[*]}\"",
    ]);
    assert_eq!(crate::project::Seen::of(&mut bash).stdout, "config\n");
}
